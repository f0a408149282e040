"""ViTPose and ViTPose++: a plain vision transformer under a light decoder."""

from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.published.entry import Published
from jaxpose.models.vit import ViT


class _Size(NamedTuple):
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    drop_path: float
    part_features: int | None = None  # of each expert in ViTPose++


# S, B, L and H as in ViTPose (arXiv:2204.12484, table 1, and its configurations; ViTPose-S keeps
# 12 heads) and ViTPose++ (arXiv:2212.04246); Ti as DeiT-Ti (arXiv:2012.12877). g and G as in
# arXiv:2106.04560, table 2, but with H's drop path, and with patches of 16 pixels rather than 14,
# so that heatmaps are a quarter of the image.
_VIT_SIZES = {
    "Ti": _Size(192, 12, 3, 768, 0.1),
    "S": _Size(384, 12, 12, 1536, 0.1, 192),
    "B": _Size(768, 12, 12, 3072, 0.3, 192),
    "L": _Size(1024, 24, 16, 4096, 0.5, 256),
    "H": _Size(1280, 32, 16, 5120, 0.55, 320),
    "g": _Size(1408, 40, 16, 6144, 0.55),
    "G": _Size(1664, 48, 16, 8192, 0.55),
}

# The data sets of ViTPose++, in the order of its experts.
VITPOSE_PLUS_DATASETS = ("COCO", "AIC", "MPII", "AP-10K", "APT-36K", "COCO-WholeBody")


def vitpose(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    heads: int | None = None,
    drop_path: float | None = None,
    remat: str = "none",
    attention: Literal["xla", "cudnn"] = "xla",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose (Xu et al. 2022, arXiv:2204.12484) of `size` Ti, S, B, L, H, g or G.

    `head` is "classic" (two deconvolutions), "simple" (bilinear x4 and one convolution), both
    giving heatmaps of `input_hw / 4`, or "simcc" (arXiv:2107.03332; `split_ratio` bins to a pixel).
    `drop_path=None` takes the rate of the published recipe, `heads=None` the published number of
    attention heads. Of S that is 12; ImageNet's ViT-S has 6, and its weights want `heads=6`.
    """
    shape = _size(size, _VIT_SIZES)
    backbone = ViT(
        input_hw=(input_hw[0], input_hw[1]),
        dim=shape.dim,
        depth=shape.depth,
        heads=shape.heads if heads is None else heads,
        mlp_hidden=shape.mlp_hidden,
        drop_path=shape.drop_path if drop_path is None else drop_path,
        remat=remat,
        attention=attention,
        dtype=dtype,
    )
    return PoseModel(backbone, _head(head, num_keypoints, input_hw, split_ratio, dtype))


def vitpose_plus(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    dataset: int = 0,
    experts: int = len(VITPOSE_PLUS_DATASETS),
    drop_path: float | None = None,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose++ (Xu et al. 2022, arXiv:2212.04246) of `size` S, B, L or H.

    Part of each block's MLP has weights of its own for each of `experts` data sets; `dataset` is
    the one that the model is used on, an index into `VITPOSE_PLUS_DATASETS` for the published
    weights. `PoseModel.mixed` takes the data set of each image instead.
    """
    shape = _size(size, [name for name, known in _VIT_SIZES.items() if known.part_features])
    model = vitpose(
        size, num_keypoints, input_hw, head, drop_path=drop_path, remat=remat, dtype=dtype
    )
    backbone = model.backbone.clone(
        experts=experts, part_features=shape.part_features, dataset=dataset
    )
    return PoseModel(backbone, model.head)


def _size(name: str, known: list[str] | dict[str, _Size]) -> _Size:
    if name in known:
        return _VIT_SIZES[name]
    raise InputError(f"Unknown ViT size {name!r}; known: {', '.join(known)}.{nearest(name, known)}")


def _head(
    name: str, num_keypoints: int, input_hw: tuple[int, int], split_ratio: float, dtype: str
) -> nn.Module:
    if name == "classic":
        return DeconvHead(num_keypoints, dtype=dtype)
    if name == "simple":
        return SimpleHead(num_keypoints, dtype=dtype)
    if name == "simcc":
        return SimCCHead(num_keypoints, (input_hw[0], input_hw[1]), split_ratio, dtype=dtype)
    known = ("classic", "simple", "simcc")
    raise InputError(f"Unknown head {name!r}; known: {', '.join(known)}.{nearest(name, known)}")


# AP: COCO val2017 with the detections of 56.4 person AP, flip test. MMPose's tables give neither
# parameters nor GFLOPs, and the papers count the backbone alone.
PUBLISHED = (
    *(
        Published(
            f"vitpose-{size.lower()}{suffix}",
            partial(vitpose, size, head=head),
            (256, 192),
            score=f"AP {score}",
            source="MMPose 1.x model zoo, vitpose_coco",
            golden=golden,
        )
        for size, head, suffix, score, golden in (
            ("S", "classic", "", 73.9, ("vitpose_s_256x192", "hf_vitpose_small")),
            ("B", "classic", "", 75.7, ()),
            ("L", "classic", "", 78.2, ()),
            ("H", "classic", "", 78.8, ("vitpose_h_256x192",)),
            ("S", "simple", "-simple", 73.6, ()),
            ("B", "simple", "-simple", 75.6, ("vitpose_b_simple_256x192",)),
            ("L", "simple", "-simple", 78.1, ()),
            ("H", "simple", "-simple", 78.9, ()),
        )
    ),
    *(
        Published(
            f"vitpose-plus-{size.lower()}",
            partial(vitpose_plus, size),
            (256, 192),
            score=f"AP {score}",
            source="ViTPose repository, README (multi-task training)",
            golden=golden,
        )
        for size, score, golden in (
            ("S", 75.8, ("hf_vitpose_plus_small",)),
            ("B", 77.0, ()),
            ("L", 78.6, ()),
            ("H", 79.4, ()),
        )
    ),
)
