"""Today's large vision transformers as backbones of pose models, and Sapiens with its heads."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from jaxpose import skeletons
from jaxpose.codecs.heatmap import udp
from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published import large_vit_tables
from jaxpose.models.published.record import Family, PublishedPose
from jaxpose.models.published.vit_heads import pose_head
from jaxpose.models.rope import Rope
from jaxpose.models.token_heads import AttentionPoolHead, FeatureHead
from jaxpose.models.vit import ViT

__all__ = [
    "LARGE_VIT",
    "LARGE_VITS",
    "AttentionPoolHead",
    "FeatureHead",
    "Rope",
    "large_vit",
    "sapiens",
    "sapiens2",
]


# Meta's DINOv2 (arXiv:2304.07193, table 17; registers arXiv:2309.16588).
def _dinov2(dim: int, depth: int, heads: int, registers: int, **options: Any) -> ViT:
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        patch=14,
        patch_padding=0,
        class_token=True,
        registers=registers,
        positions="patches",
        layer_scale="both",
        **options,
    )


# DINOv3 (arXiv:2508.10104, tables 2 and 14).
def _dinov3(dim: int, depth: int, heads: int, **options: Any) -> ViT:
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        patch_padding=0,
        class_token=True,
        registers=4,
        positions="none",
        rope=Rope(),
        layer_scale="both",
        norm_eps=1e-5,
        **{"qkv_bias": "query_value", **options},
    )


# SigLIP (arXiv:2303.15343) and SigLIP 2 (arXiv:2502.14786), with the GELU of their own code.
def _siglip(dim: int, depth: int, heads: int, mlp_hidden: int, patch: int = 16) -> ViT:
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        mlp_hidden=mlp_hidden,
        patch=patch,
        patch_padding=0,
        mlp="gelu_tanh",
    )


# EVA-02 (arXiv:2303.11331, table 1).
def _eva02(dim: int, depth: int, heads: int, mlp_hidden: int, **options: Any) -> ViT:
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        mlp_hidden=mlp_hidden,
        patch=14,
        patch_padding=0,
        class_token=True,
        rope=Rope(10000.0, "neighbours", "counted", reference=16),
        qkv_bias="query_value",
        mlp="swiglu",
        last_norm=False,
        **options,
    )


# Perception Encoder (arXiv:2504.13181, tables 1 and 12). Positions are counted as in the authors'
# code, without stretching.
def _perception(dim: int, depth: int, heads: int, patch: int, core: bool, **options: Any) -> ViT:
    token = options.setdefault("class_token", True)
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        patch=patch,
        patch_padding=0,
        patch_bias=False,
        rope=Rope(10000.0, "neighbours", "counted", "xy", first=int(token)),
        first_norm=True,
        last_norm=core,
        norm_eps=1e-5,
        **options,
    )


_PE_G: dict[str, Any] = {"class_token": False, "mlp_hidden": 8960}
_PE_SPATIAL_G: dict[str, Any] = {**_PE_G, "layer_scale": "both"}


# Sapiens (arXiv:2408.12569, table 1).
def _sapiens(dim: int, depth: int, heads: int) -> ViT:
    return ViT(dim=dim, depth=depth, heads=heads, patch_padding=2)


# Sapiens2 (arXiv:2604.21681). All blocks but eight at each end have half as many heads of keys and
# values as of queries.
def _sapiens2(dim: int, depth: int, heads: int) -> ViT:
    return ViT(
        dim=dim,
        depth=depth,
        heads=heads,
        patch_padding=0,
        class_token=True,
        registers=8,
        positions="none",
        rope=Rope(),
        norm="rms",
        qk_norm=True,
        mlp="swiglu",
        layer_scale="attention",
        kv_heads=heads // 2 if depth > 16 else 0,
        ungrouped=8 if depth > 16 else 0,
    )


_DINOV2_SIZES: tuple[tuple[str, tuple[int, int, int], dict[str, Any]], ...] = (
    ("s", (384, 12, 6), {}),
    ("b", (768, 12, 12), {}),
    ("l", (1024, 24, 16), {}),
    ("g", (1536, 40, 24), {"mlp": "swiglu", "mlp_hidden": 4096}),
)

LARGE_VITS: dict[str, ViT] = {
    **{
        f"dinov2-vit{size}14{suffix}": _dinov2(*shape, registers, **options)
        for suffix, registers in (("", 0), ("-reg", 4))
        for size, shape, options in _DINOV2_SIZES
    },
    "dinov3-vits16": _dinov3(384, 12, 6),
    "dinov3-vits16plus": _dinov3(384, 12, 6, mlp="swiglu", mlp_hidden=1536),
    "dinov3-vitb16": _dinov3(768, 12, 12),
    "dinov3-vitl16": _dinov3(1024, 24, 16),
    "dinov3-vith16plus": _dinov3(1280, 32, 20, mlp="swiglu", mlp_hidden=5120),
    "dinov3-vit7b16": _dinov3(4096, 40, 32, mlp="swiglu", mlp_hidden=8192, qkv_bias="none"),
    "siglip-b16": _siglip(768, 12, 12, 3072),
    "siglip-l16": _siglip(1024, 24, 16, 4096),
    "siglip-so400m14": _siglip(1152, 27, 16, 4304, 14),
    "siglip2-b16": _siglip(768, 12, 12, 3072),
    "siglip2-l16": _siglip(1024, 24, 16, 4096),
    "siglip2-so400m14": _siglip(1152, 27, 16, 4304, 14),
    "siglip2-so400m16": _siglip(1152, 27, 16, 4304),
    "siglip2-g16": _siglip(1536, 40, 16, 6144),
    "eva02-ti14": _eva02(192, 12, 3, 512),
    "eva02-s14": _eva02(384, 12, 6, 1024),
    "eva02-b14": _eva02(768, 12, 12, 2048, sub_norm="mlp"),
    "eva02-l14": _eva02(1024, 24, 16, 2730, sub_norm="mlp"),
    **{
        f"pe-{kind}-{size}": _perception(*shape, kind == "core")
        for kind in ("core", "spatial")
        for size, shape in (
            ("t16", (192, 12, 3, 16)),
            ("s16", (384, 12, 6, 16)),
            ("b16", (768, 12, 12, 16)),
            ("l14", (1024, 24, 16, 14)),
        )
    },
    "pe-core-g14": _perception(1536, 50, 16, 14, core=True, **_PE_G),
    "pe-spatial-g14": _perception(1536, 50, 16, 14, core=False, **_PE_SPATIAL_G),
    "pe-lang-g14": _perception(1536, 47, 16, 14, core=False, **_PE_SPATIAL_G),
    "sapiens-0.3b": _sapiens(1024, 24, 16),
    "sapiens-0.6b": _sapiens(1280, 32, 16),
    "sapiens-1b": _sapiens(1536, 40, 24),
    "sapiens-2b": _sapiens(1920, 48, 32),
    "sapiens2-0.1b": _sapiens2(768, 12, 12),
    "sapiens2-0.4b": _sapiens2(1024, 24, 16),
    "sapiens2-0.8b": _sapiens2(1280, 32, 16),
    "sapiens2-1b": _sapiens2(1536, 40, 24),
    "sapiens2-5b": _sapiens2(2432, 56, 32),
    # Its shape and options (arXiv:2302.05442, table 1); there are no public weights.
    "vit-22b": ViT(
        dim=6144,
        depth=48,
        heads=48,
        patch=14,
        patch_padding=0,
        qk_norm=True,
        parallel=True,
        bias=False,
    ),
}
"""Backbones by name, for 256x192 pixels and with all of their tokens in the output."""


def large_vit(
    name: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    attention: Literal["xla", "cudnn"] = "xla",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """Pose model with a backbone of `LARGE_VITS`, for images of any size in whole patches.

    `head` and `split_ratio` are those of `vitpose`. Class token and registers take part in
    attention; the head gets the patches' features alone. Patches of 14 pixels need sizes such as
    252x196: `backbone.clone(patch=16)` starts from the same weights, resampled.

    Raises:
      InputError: there is no backbone or head of this name.
    """
    backbone = _backbone(name).clone(
        input_hw=(input_hw[0], input_hw[1]),
        output="map",
        drop_path=drop_path,
        remat=remat,
        attention=attention,
        dtype=dtype,
    )
    return PoseModel(backbone, pose_head(head, num_keypoints, input_hw, split_ratio, dtype))


def sapiens(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (1024, 768),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """Sapiens (Khirodkar et al. 2024, arXiv:2408.12569) of `size` 0.3b, 0.6b, 1b or 2b.

    Heatmaps of `input_hw / 4` from two deconvolutions and two 1x1 convolutions of 768 channels.

    Raises:
      InputError: there is no such size.
    """
    model = large_vit(
        f"sapiens-{size}", num_keypoints, input_hw, drop_path=drop_path, remat=remat, dtype=dtype
    )
    head = DeconvHead(num_keypoints, (768, 768), 1, (768, 768), dtype, instance_norm=True)
    return model.clone(head=head)


# Channels of deconvolutions and convolutions.
_SAPIENS2_HEAD = ((1024, 768), (512, 512, 256))
_SAPIENS2_HEADS = {"1b": ((1536, 1024), (768, 512, 256))}


def sapiens2(
    size: str,
    num_keypoints: int = 308,
    input_hw: tuple[int, int] = (1024, 768),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """Sapiens2 (arXiv:2604.21681) of `size` 0.1b, 0.4b, 0.8b, 1b or 5b.

    Heatmaps of `input_hw / 4`. The table of rotary positions is in float32; the authors' code
    computes it in bfloat16 by default (`backbone.rope.rounded`), which moves heatmaps by up to 0.04
    of their spread.

    Raises:
      InputError: there is no such size.
    """
    model = large_vit(
        f"sapiens2-{size}", num_keypoints, input_hw, drop_path=drop_path, remat=remat, dtype=dtype
    )
    deconv, conv = _SAPIENS2_HEADS.get(size, _SAPIENS2_HEAD)
    return model.clone(head=DeconvHead(num_keypoints, deconv, 1, conv, dtype, instance_norm=True))


def _backbone(name: str) -> ViT:
    if name in LARGE_VITS:
        return LARGE_VITS[name]
    raise InputError(
        f"Unknown ViT {name!r}; known: {', '.join(LARGE_VITS)}.{nearest(name, list(LARGE_VITS))}"
    )


def name_of(vit: ViT) -> str:
    """Name of the published backbone that a ViT is, for images of any size; "" for none.

    Projects differ in the GELU of SigLIP, in the reference of the Perception Encoder's positions,
    and in biases of DINOv3 that are zero.
    """

    def facts(model: ViT) -> ViT:
        return model.clone(
            input_hw=(256, 192),
            output="tokens",
            mlp_hidden=model.mlp_hidden or 4 * model.dim,
            norm=model.norm_kind,
            qkv_bias="query_value" if model.qkv_bias_kind == "none" else model.qkv_bias_kind,
            bias=True,
            mlp="gelu" if model.mlp == "gelu_tanh" else model.mlp,
            rope=model.rope and replace(model.rope, reference=0),
        )

    wanted = facts(vit)
    return next((name for name, known in LARGE_VITS.items() if facts(known) == wanted), "")


def sapiens2_record(state_dict: Mapping[str, np.ndarray], vit: ViT) -> PublishedPose:
    """Make the record of a Sapiens2 of any size, from its backbone and the shapes of its head."""

    def channels(layers: str, axis: int) -> tuple[int, ...]:
        keys = (f"decode_head.{layers}.{3 * i}.weight" for i in range(8))
        return tuple(state_dict[key].shape[axis] for key in keys if key in state_dict)

    deconv, conv = channels("deconv_layers", 1), channels("conv_layers", 0)

    def make(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
        head = DeconvHead(num_keypoints, deconv, 1, conv, instance_norm=True)
        size = (input_hw[0], input_hw[1])
        return PoseModel(vit.clone(input_hw=size, output="map"), head)

    return PublishedPose(
        name=name_of(vit) or "sapiens2",
        make=make,
        codec=_SIGMA6,
        skeleton=skeletons.GOLIATH308,
        input_hw=(1024, 768),
        num_keypoints=308,
        licence=_SAPIENS2_TERMS,
    )


_SIGMA6 = partial(udp, sigma=6.0)
_SAPIENS2_TERMS = "Sapiens2 licence"

# AP: COCO val2017 and COCO-WholeBody with detections of 70 person AP, which ViTPose's are not.
_SCORES = {
    "0.3b": (79.6, 62.0),
    "0.6b": (81.2, 69.5),
    "1b": (82.1, 72.7),
    "2b": (82.2, 74.4),
}
_SAPIENS = tuple(
    PublishedPose(
        name=f"sapiens-{size}{suffix}",
        make=partial(sapiens, size),
        codec=_SIGMA6,
        skeleton=skeleton,
        num_keypoints=skeleton.num_keypoints,
        input_hw=(1024, 768),
        score=f"AP {scores[column]}",
        source="Sapiens repository, docs/evaluate/POSE_README.md",
        licence="CC BY-NC 4.0",
        trained_on=(dataset,),
    )
    for size, scores in _SCORES.items()
    for column, suffix, skeleton, dataset in (
        (0, "", skeletons.COCO17, "COCO"),
        (1, "-wholebody", skeletons.COCO_WHOLEBODY133, "COCO-WholeBody"),
    )
)
_GOLIATH = tuple(
    PublishedPose(
        name=f"sapiens-{size}-goliath",
        make=partial(sapiens, size),
        codec=_SIGMA6,
        skeleton=skeletons.GOLIATH308,
        num_keypoints=308,
        input_hw=(1024, 768),
        licence="CC BY-NC 4.0",
    )
    for size in _SCORES
)

LARGE_VIT = Family(
    "large-vit",
    formats=large_vit_tables.FORMATS,
    # The addresses of their weights are not known, so `jaxpose models` does not list them.
    unpublished=(*_SAPIENS, *_GOLIATH),
)
