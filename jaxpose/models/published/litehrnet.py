"""Lite-HRNet for pose."""

from functools import partial
from typing import Literal

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.litehrnet import LiteHRNet
from jaxpose.models.published.entry import Published

# Width of the first branch, modules of each stage, block. arXiv:2104.06403, table 1 and its code.
_SIZES: dict[str, tuple[int, tuple[int, ...], Literal["weighting", "shuffle"]]] = {
    "18": (40, (2, 4, 2), "weighting"),
    "30": (40, (3, 8, 3), "weighting"),
    "naive-18": (30, (2, 4, 2), "shuffle"),
    "wider-naive-18": (40, (2, 4, 2), "shuffle"),
}


def litehrnet(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """Lite-HRNet (Yu et al. 2021, arXiv:2104.06403) of `size` 18, 30, naive-18, wider-naive-18.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image.
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown Lite-HRNet size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, _SIZES)}"
        )
    width, modules, block = _SIZES[size]
    backbone = LiteHRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        block=block,
        dtype=dtype,
    )
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def _any_size(size: str, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return litehrnet(size, num_keypoints)


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
PUBLISHED = tuple(
    Published(
        f"litehrnet-{size}{suffix}",
        partial(_any_size, size),
        input_hw,
        parameters=parameters,
        gflops=gflops,
        score=score,
        source="arXiv:2104.06403, table 3, and its code",
        golden=golden,
    )
    for size, suffix, input_hw, parameters, gflops, score, golden in (
        ("18", "", (256, 192), 1.1, 0.2052, "AP 64.8", ("litehrnet18_256x192",)),
        ("18", "-384", (384, 288), 1.1, 0.4616, "AP 67.6", ()),
        ("30", "", (256, 192), 1.8, 0.3192, "AP 67.2", ()),
        ("30", "-384", (384, 288), 1.8, 0.7178, "AP 70.4", ()),
        ("naive-18", "", (256, 192), 0.7, 0.1948, "AP 62.8", ()),
        ("wider-naive-18", "", (256, 192), 1.3, 0.3111, "AP 66.0", ()),
    )
)
