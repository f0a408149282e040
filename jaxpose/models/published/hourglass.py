"""Stacked hourglasses."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.hourglass import Hourglass
from jaxpose.models.multistage import MultiStageHead
from jaxpose.models.published.entry import Published

# Number of hourglasses.
_HOURGLASS_SIZES = {"52": 1, "104": 2}


def hourglass(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """Stacked hourglass (Newell et al. 2016, arXiv:1603.06937) of `size` 52 or 104.

    One or two hourglasses of basic residual blocks, as in CornerNet (arXiv:1808.01244, section
    3.5) and MMPose. Every stack has its heatmaps, of a quarter of the image, when training.
    """
    if size not in _HOURGLASS_SIZES:
        raise InputError(
            f"Unknown hourglass size {size!r}; known: {', '.join(_HOURGLASS_SIZES)}."
            f"{nearest(size, _HOURGLASS_SIZES)}"
        )
    backbone = Hourglass(_HOURGLASS_SIZES[size], dtype=dtype)
    return PoseModel(backbone, MultiStageHead(num_keypoints, dtype=dtype))


def _any_size(size: str, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return hourglass(size, num_keypoints)


# MMPose counts the parameters of a block between stacks, 1.18 million, that one stack does not run.
PUBLISHED = tuple(
    Published(
        f"hourglass-52{suffix}",
        partial(_any_size, "52"),
        input_hw,
        parameters=94.85,
        gflops=gflops,
        score=score,
        source="MMPose 0.29, inference speed summary",
        golden=golden,
    )
    for suffix, input_hw, gflops, score, golden in (
        ("", (256, 256), 28.67, "AP 72.6", ("hourglass52_256x256",)),
        ("-384", (384, 384), 64.5, "AP 74.6", ()),
    )
)
