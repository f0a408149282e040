"""ViTPose: a plain vision transformer under a light decoder."""

from functools import partial
from typing import Literal

import flax.linen as nn

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.published.entry import Published
from jaxpose.models.vit import ViT

# (dim, depth, heads, drop path). S, B, L and H as in ViTPose (arXiv:2204.12484, table 1 and its
# configurations; ViTPose-S keeps 12 heads); Ti as DeiT-Ti (arXiv:2012.12877).
_VIT_SIZES = {
    "Ti": (192, 12, 3, 0.1),
    "S": (384, 12, 12, 0.1),
    "B": (768, 12, 12, 0.3),
    "L": (1024, 24, 16, 0.5),
    "H": (1280, 32, 16, 0.55),
}


def vitpose(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    drop_path: float | None = None,
    remat: str = "none",
    attention: Literal["xla", "cudnn"] = "xla",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """ViTPose (Xu et al. 2022, arXiv:2204.12484) of `size` Ti, S, B, L or H.

    `head` is "classic" (two deconvolutions), "simple" (bilinear x4 and one convolution), both
    giving heatmaps of `input_hw / 4`, or "simcc" (arXiv:2107.03332; `split_ratio` bins to a pixel).
    `drop_path=None` takes the rate of the published recipe.
    """
    if size not in _VIT_SIZES:
        raise InputError(
            f"Unknown ViT size {size!r}; known: {', '.join(_VIT_SIZES)}.{nearest(size, _VIT_SIZES)}"
        )
    dim, depth, heads, published_drop_path = _VIT_SIZES[size]
    backbone = ViT(
        input_hw=(input_hw[0], input_hw[1]),
        dim=dim,
        depth=depth,
        heads=heads,
        drop_path=published_drop_path if drop_path is None else drop_path,
        remat=remat,
        attention=attention,
        dtype=dtype,
    )
    return PoseModel(backbone, _head(head, num_keypoints, input_hw, split_ratio, dtype))


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


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
PUBLISHED = tuple(
    Published(
        f"vitpose-{size.lower()}{suffix}",
        partial(vitpose, size, head=head),
        (256, 192),
        golden=golden,
    )
    for size, head, suffix, golden in (
        ("S", "classic", "", ("vitpose_s_256x192",)),
        ("B", "classic", "", ()),
        ("L", "classic", "", ()),
        ("H", "classic", "", ()),
        ("S", "simple", "-simple", ()),
        ("B", "simple", "-simple", ("vitpose_b_simple_256x192",)),
        ("L", "simple", "-simple", ()),
        ("H", "simple", "-simple", ()),
    )
)
