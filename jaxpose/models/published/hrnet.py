"""HRNet for pose."""

from collections.abc import Callable
from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.entry import Published

# Width of the first branch, exchange modules, residual blocks per branch, stage-1 width and blocks.
# W32 and W48: arXiv:1902.09212, section 3. The others, small ones (v1 and v2): arXiv:1908.07919 and
# its code.
_HRNET_SIZES = {
    "W18-small": (16, (1, 1, 1), 2, 32, 1),
    "W18-small-v2": (18, (1, 3, 2), 2, 64, 2),
    **{f"W{width}": (width, (1, 4, 3), 4, 64, 4) for width in (18, 30, 32, 40, 44, 48, 64)},
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
    backbone = _backbone(size, outputs="high", enlargement="nearest", remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def hrnetv2_pose(
    size: str,
    num_keypoints: int = 98,
    *,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRNetV2 for faces and hands (Sun et al. 2019, arXiv:1904.04514) of the sizes of `hrnet_pose`.

    All branches, enlarged and concatenated, pass two 1x1 convolutions to heatmaps of a quarter of
    the image.
    """
    backbone = _backbone(size, outputs="concat", enlargement="bilinear", remat=remat, dtype=dtype)
    head = DeconvHead(num_keypoints, (), conv_channels=(sum(backbone.channels),), dtype=dtype)
    return PoseModel(backbone, head)


def hrnet_backbone(size: str, *, remat: str = "none", dtype: str = "float32") -> HRNet:
    """HRNet with all branches as outputs, as for ImageNet; the sizes of `hrnet_pose`."""
    return _backbone(size, outputs="all", enlargement="nearest", remat=remat, dtype=dtype)


def _backbone(size: str, *, outputs: str, enlargement: str, remat: str, dtype: str) -> HRNet:
    if size not in _HRNET_SIZES:
        raise InputError(
            f"Unknown HRNet size {size!r}; known: {', '.join(_HRNET_SIZES)}."
            f"{nearest(size, _HRNET_SIZES)}"
        )
    width, modules, blocks, stage1_channels, stage1_blocks = _HRNET_SIZES[size]
    return HRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        blocks=blocks,
        stage1_channels=stage1_channels,
        stage1_blocks=stage1_blocks,
        outputs=outputs,
        enlargement=enlargement,
        remat=remat,
        dtype=dtype,
    )


def _any_size(
    make: Callable[..., PoseModel], size: str, num_keypoints: int, input_hw: tuple[int, int]
) -> PoseModel:
    del input_hw  # fully convolutional
    return make(size, num_keypoints)


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
_BODIES = tuple(
    Published(
        f"hrnet-{size.lower()}{suffix}",
        partial(_any_size, hrnet_pose, size),
        input_hw,
        parameters=parameters,
        gflops=gflops,
        score=score,
        source="MMPose 0.29, inference speed summary",
        golden=golden,
    )
    for size, suffix, input_hw, parameters, gflops, score, golden in (
        ("W32", "", (256, 192), 28.54, 7.7, "AP 74.6", ("hrnet_w32_256x192",)),
        ("W32", "-384", (384, 288), 28.54, 17.33, "AP 76.0", ()),
        ("W48", "", (256, 192), 63.6, 15.77, "AP 75.6", ()),
        ("W48", "-384", (384, 288), 63.6, 35.48, "AP 76.7", ()),
    )
)

# NME in percent, normalised as each dataset does.
_FACES_AND_HANDS = tuple(
    Published(
        f"hrnetv2-w18-{dataset}",
        partial(_any_size, hrnetv2_pose, "W18"),
        (256, 256),
        num_keypoints,
        score=score,
        source="MMPose 1.3 model zoo",
        golden=golden,
    )
    for dataset, num_keypoints, score, golden in (
        ("wflw", 98, "NME 4.06 (test)", ("hrnetv2_w18_wflw_256x256",)),
        ("300w", 68, "NME 3.45 (full)", ()),
        ("aflw", 19, "NME 1.41 (full)", ()),
        ("cofw", 29, "NME 3.48", ()),
        ("onehand10k", 21, "PCK@0.2 0.990, AUC 0.567, EPE 24.26", ()),
        ("rhd2d", 21, "PCK@0.2 0.992, AUC 0.902, EPE 2.21", ()),
    )
)

PUBLISHED = _BODIES + _FACES_AND_HANDS
