"""Swin transformers with heatmaps, and their conversion tables."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxpose import skeletons
from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.swin import Swin
from jaxpose.models.token_heads import FeatureHead

__all__ = ["SWIN", "Swin", "swin"]


class _Size(NamedTuple):
    dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]


# arXiv:2103.14030, section 3.3.
_SIZES = {
    "T": _Size(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "S": _Size(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "B": _Size(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "L": _Size(192, (2, 2, 18, 2), (6, 12, 24, 48)),
}


def swin(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """Swin (Liu et al. 2021, arXiv:2103.14030) of `size` T, S, B or L with three deconvolutions.

    Heatmaps of `input_hw / 4`; `input_hw` is a multiple of 32. The backbone takes images of any
    such size.

    Raises:
      InputError: there is no such size, or the images are no multiple of 32.
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown Swin size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, list(_SIZES))}"
        )
    if input_hw[0] % 32 or input_hw[1] % 32:
        raise InputError(f"Swin needs images of multiples of 32 pixels, not {input_hw}.")
    backbone = Swin(*_SIZES[size], drop_path=drop_path, remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype))


def _mmpose(model: Swin) -> list[Rule]:
    """Rules for MMPose's SwinTransformer.

    Its merging takes the four values of each channel together, the authors' those of each patch.
    """
    return _table(
        model,
        "backbone.",
        patches=r"patch_embed\.projection",
        stages="stages",
        merge_of=lambda stage: stage - 1,
        attention=r"attn\.w_msa",
        fc1=r"ffn\.layers\.0\.0",
        fc2=r"ffn\.layers\.1",
        norm=rf"norm{len(model.depths) - 1}",
        merged=_patch_major,
    )


def _timm(model: Swin) -> list[Rule]:
    """Rules for timm's SwinTransformer, where a stage begins with the merging."""
    return _table(
        model,
        "",
        patches=r"patch_embed\.proj",
        stages="layers",
        merge_of=lambda stage: stage,
        attention="attn",
        fc1=r"mlp\.fc1",
        fc2=r"mlp\.fc2",
        norm="norm",
        merged=np.asarray,
    )


def _patch_major(array: np.ndarray) -> np.ndarray:
    """Last axis from `[C, row, column]` to `[column, row, C]`."""
    parts = array.reshape(*array.shape[:-1], -1, 2, 2)
    return np.moveaxis(parts, -3, -1).swapaxes(-3, -2).reshape(array.shape)


def _table(
    model: Swin,
    prefix: str,
    *,
    patches: str,
    stages: str,
    merge_of: Callable[[int], int],
    attention: str,
    fc1: str,
    fc2: str,
    norm: str,
    merged: Callable[[np.ndarray], np.ndarray],
) -> list[Rule]:
    start = prefix.replace(".", r"\.")
    rules = [
        *layouts.dense(start + patches, "backbone/patch_embed/projection", kernel=layouts.patches),
        *layouts.layer_norm(rf"{start}patch_embed\.norm", "backbone/patch_norm"),
        *layouts.layer_norm(start + norm, "backbone/norm"),
        Rule(
            rf"{start}{stages}\..+\.(relative_position_index|attn_mask)",
            None,
            reason="constants: the relative positions of patches",
        ),
    ]
    number = 0
    for stage, (depth, heads) in enumerate(zip(model.depths, model.heads, strict=True)):
        if stage:
            down = rf"{start}{stages}\.{merge_of(stage)}\.downsample"
            target = f"params/backbone/block_{number}/merge"
            rules += [
                Rule(rf"{down}\.norm\.weight", f"{target}/norm/scale", merged),
                Rule(rf"{down}\.norm\.bias", f"{target}/norm/bias", merged),
                Rule(
                    rf"{down}\.reduction\.weight",
                    f"{target}/reduction/kernel",
                    lambda weight: layouts.linear(merged(weight)),
                ),
            ]
        for i in range(depth):
            source = rf"{start}{stages}\.{stage}\.blocks\.{i}"
            rules += _block(source, f"backbone/block_{number}", heads, attention, fc1, fc2)
            number += 1
    return rules


def _block(source: str, target: str, heads: int, attention: str, fc1: str, fc2: str) -> list[Rule]:
    attend = rf"{source}\.{attention}"
    return [
        *layouts.layer_norm(rf"{source}\.norm1", f"{target}/norm1"),
        *layouts.layer_norm(rf"{source}\.norm2", f"{target}/norm2"),
        *layouts.dense(
            rf"{attend}\.qkv",
            f"{target}/attention/qkv",
            kernel=layouts.fused_qkv(heads),
            bias=layouts.fused_qkv_bias(heads),
        ),
        *layouts.dense(
            rf"{attend}\.proj", f"{target}/attention/out", kernel=layouts.attention_out(heads)
        ),
        Rule(
            rf"{attend}\.relative_position_bias_table",
            f"params/{target}/attention/position_bias",
        ),
        *layouts.dense(rf"{source}\.{fc1}", f"{target}/mlp/fc1"),
        *layouts.dense(rf"{source}\.{fc2}", f"{target}/mlp/fc2"),
    ]


def _timm_head(head: FeatureHead) -> list[Rule]:
    return [Rule(r"head\..+", None, reason="the classifier, which is not used here")]


_FORMAT = Format(
    name="timm Swin",
    marker=r"layers\.0\.blocks\.0\.attn\.relative_position_bias_table",
    head=r"head\..+",
    purpose="classification",
    tables={Swin: _timm, FeatureHead: _timm_head},
)

# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
SWIN = Family(
    "swin",
    mmpose={Swin: _mmpose},
    formats=(_FORMAT,),
    published=tuple(
        PublishedPose(
            name=f"swin-{size.lower()}{suffix}",
            make=partial(swin, size),
            codec=msra,
            skeleton=skeletons.COCO17,
            input_hw=input_hw,
            score=f"AP {score}",
            source="MMPose 1.x model zoo, swin_coco",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(
                f"{OPENMMLAB}/top_down/swin/swin_{file}.pth", file.split("-")[-1].split("_")[0]
            ),
        )
        for size, suffix, input_hw, score, file in (
            ("T", "", (256, 192), 72.4, "t_p4_w7_coco_256x192-eaefe010_20220503"),
            ("B", "", (256, 192), 73.7, "b_p4_w7_coco_256x192-7432be9e_20220705"),
            ("B", "-384x288", (384, 288), 75.9, "b_p4_w7_coco_384x288-3abf54f9_20220705"),
            ("L", "", (256, 192), 74.3, "l_p4_w7_coco_256x192-642a89db_20220705"),
            ("L", "-384x288", (384, 288), 76.3, "l_p4_w7_coco_384x288-c36b7845_20220705"),
        )
    ),
)
