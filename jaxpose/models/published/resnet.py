"""Models on a ResNet: heatmaps, SimCC, and the three kinds of regression."""

from functools import partial
from typing import Literal

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead, SimCCHead
from jaxpose.models.published.entry import Published
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead
from jaxpose.models.resnet import ResNet

# Bottlenecks or basic blocks, and blocks of each stage (arXiv:1512.03385, table 1).
_DEPTHS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
# Of the heads with deconvolutions (arXiv:1804.06208, section 2).
_DECONVOLUTIONS = (256, 256, 256)

Variant = Literal["v1b", "v1d"]


def resnet_backbone(depth: int, variant: Variant = "v1b", *, dtype: str = "float32") -> ResNet:
    """ResNet backbone (He et al. 2016, arXiv:1512.03385) of `depth` 18, 34, 50, 101 or 152.

    "v1b" is torchvision's, "v1d" ResNet-D (He et al. 2019, arXiv:1812.01187).
    """
    if depth not in _DEPTHS:
        known = ", ".join(map(str, _DEPTHS))
        raise InputError(f"Unknown ResNet depth {depth!r}; known: {known}.")
    bottleneck, blocks = _DEPTHS[depth]
    return ResNet(blocks, bottleneck, variant, dtype=dtype)


def simple_baseline(
    depth: int, num_keypoints: int = 17, variant: Variant = "v1b", *, dtype: str = "float32"
) -> PoseModel:
    """SimpleBaseline (Xiao et al. 2018, arXiv:1804.06208): three deconvolutions on a ResNet.

    Heatmaps have a quarter of the image's size.
    """
    head = DeconvHead(num_keypoints, _DECONVOLUTIONS, dtype=dtype)
    return PoseModel(resnet_backbone(depth, variant, dtype=dtype), head)


def simcc_resnet(
    depth: int,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """SimCC (Li et al. 2022, arXiv:2107.03332) on the deconvolutions of SimpleBaseline."""
    size = (input_hw[0], input_hw[1])
    head = SimCCHead(num_keypoints, size, split_ratio, _DECONVOLUTIONS, dtype=dtype)
    return PoseModel(resnet_backbone(depth, dtype=dtype), head)


def deeppose(depth: int, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """DeepPose (Toshev & Szegedy 2014, arXiv:1312.4659), its first stage, on a ResNet."""
    return PoseModel(resnet_backbone(depth, dtype=dtype), RegressionHead(num_keypoints))


def rle(depth: int, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """Regression trained by residual log-likelihood (Li et al. 2021, arXiv:2107.11291)."""
    return PoseModel(resnet_backbone(depth, dtype=dtype), RLEHead(num_keypoints))


def integral_regression(
    depth: int, num_keypoints: int = 17, *, debias: bool = False, dtype: str = "float32"
) -> PoseModel:
    """Integral regression (Sun et al. 2018, arXiv:1711.08229) on SimpleBaseline's heatmaps.

    `debias=True` removes the softmax's bias and sharpens it tenfold (Gu et al. 2021, "Removing the
    Bias of Integral Pose Regression"; settings of MMPose).
    """
    head = IntegralRegressionHead(
        num_keypoints, _DECONVOLUTIONS, 10.0 if debias else 1.0, debias, dtype
    )
    return PoseModel(resnet_backbone(depth, dtype=dtype), head)


def _simple_baseline(
    depth: int, variant: Variant, num_keypoints: int, input_hw: tuple[int, int]
) -> PoseModel:
    del input_hw  # fully convolutional
    return simple_baseline(depth, num_keypoints, variant)


def _deeppose(depth: int, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # the map is averaged
    return deeppose(depth, num_keypoints)


def _rle(depth: int, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # the map is averaged
    return rle(depth, num_keypoints)


def _integral(depth: int, debias: bool, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return integral_regression(depth, num_keypoints, debias=debias)


def _name(base: str, input_hw: tuple[int, int]) -> str:
    usual = input_hw == (256, 192)
    return base if usual else f"{base}-{input_hw[0]}x{input_hw[1]}"


_ZOO = "MMPose 1.3 model zoo"
_SMALL, _LARGE = (256, 192), (384, 288)

# AP: COCO val2017 with the detections of 56.4 person AP, flip test. The multiply-adds that
# arXiv:1908.07919 gives for SimpleBaseline (8.90, 12.4 and 15.7 G) are left out: they exceed a
# count of matmuls and convolutions by 3.0 to 3.5 G, and how they were counted is not said.
_SIMPLE_BASELINES = tuple(
    Published(
        _name(f"simple-baseline-r{depth}", hw),
        partial(_simple_baseline, depth, "v1b"),
        hw,
        parameters=parameters,
        score=f"AP {ap}",
        source=f"parameters: arXiv:1908.07919; AP: {_ZOO}",
        golden=("simplebaseline_r50_256x192",) if (depth, hw) == (50, _SMALL) else (),
    )
    for depth, hw, parameters, ap in (
        (50, _SMALL, 34.0, 71.8),
        (101, _SMALL, 53.0, 72.8),
        (152, _SMALL, 68.6, 73.6),
        (50, _LARGE, 34.0, 73.1),
        (101, _LARGE, 53.0, 74.9),
        (152, _LARGE, 68.6, 75.0),
    )
)

# Name, constructor, input, AP, golden.
_OTHERS = (
    ("simple-baseline-r50-v1d", partial(_simple_baseline, 50, "v1d"), _SMALL, 72.2, ""),
    ("simple-baseline-r101-v1d", partial(_simple_baseline, 101, "v1d"), _SMALL, 73.2, ""),
    ("simple-baseline-r152-v1d", partial(_simple_baseline, 152, "v1d"), _SMALL, 73.7, ""),
    ("simple-baseline-r50-v1d", partial(_simple_baseline, 50, "v1d"), _LARGE, 73.0, ""),
    ("simple-baseline-r101-v1d", partial(_simple_baseline, 101, "v1d"), _LARGE, 74.8, ""),
    ("simple-baseline-r152-v1d", partial(_simple_baseline, 152, "v1d"), _LARGE, 75.1, ""),
    ("simcc-r50", partial(simcc_resnet, 50), _SMALL, 72.1, "simcc_r50_256x192"),
    ("simcc-r50", partial(simcc_resnet, 50), _LARGE, 73.5, ""),
    ("deeppose-r50", partial(_deeppose, 50), _SMALL, 54.1, "deeppose_r50_256x192"),
    ("deeppose-r101", partial(_deeppose, 101), _SMALL, 56.2, ""),
    ("deeppose-r152", partial(_deeppose, 152), _SMALL, 58.4, ""),
    ("rle-r50", partial(_rle, 50), _SMALL, 70.6, "rle_r50_256x192"),
    ("rle-r101", partial(_rle, 101), _SMALL, 72.2, ""),
    ("rle-r152", partial(_rle, 152), _SMALL, 73.1, ""),
    ("rle-r152", partial(_rle, 152), _LARGE, 74.9, ""),
    ("integral-r50", partial(_integral, 50, False), (256, 256), 63.3, ""),
    ("integral-r50-debias", partial(_integral, 50, True), (256, 256), 67.5, ""),
)

PUBLISHED = (
    *_SIMPLE_BASELINES,
    *(
        Published(
            _name(base, hw),
            make,
            hw,
            score=f"AP {ap}",
            source=_ZOO,
            golden=(golden,) if golden else (),
        )
        for base, make, hw, ap, golden in _OTHERS
    ),
)
