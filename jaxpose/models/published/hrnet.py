"""HRNet for pose."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.entry import Published

# Width of the first branch, exchange modules, residual blocks per branch, stage-1 width and blocks.
# W32 and W48: arXiv:1902.09212, section 3. W18 and W18-small (v1): arXiv:1908.07919 and its code.
_HRNET_SIZES = {
    "W18-small": (16, (1, 1, 1), 2, 32, 1),
    "W18": (18, (1, 4, 3), 4, 64, 4),
    "W32": (32, (1, 4, 3), 4, 64, 4),
    "W48": (48, (1, 4, 3), 4, 64, 4),
}


def hrnet_pose(
    size: str,
    num_keypoints: int = 17,
    *,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRNet for pose (Sun et al. 2019, arXiv:1902.09212) of `size` W18-small, W18, W32 or W48.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image.
    """
    if size not in _HRNET_SIZES:
        raise InputError(
            f"Unknown HRNet size {size!r}; known: {', '.join(_HRNET_SIZES)}."
            f"{nearest(size, _HRNET_SIZES)}"
        )
    width, modules, blocks, stage1_channels, stage1_blocks = _HRNET_SIZES[size]
    backbone = HRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        blocks=blocks,
        stage1_channels=stage1_channels,
        stage1_blocks=stage1_blocks,
        remat=remat,
        dtype=dtype,
    )
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def _any_size(size: str, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return hrnet_pose(size, num_keypoints)


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
PUBLISHED = tuple(
    Published(f"hrnet-{size.lower()}", partial(_any_size, size), (256, 192), golden=golden)
    for size, golden in (("W32", ("hrnet_w32_256x192",)), ("W48", ()))
)
