"""Models that nobody published weights of, but that are trained all the same.

`jaxpose convert` tries them after the catalogue: other depths and widths of published families, and
their backbones under the heads of others.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn

from jaxpose.models.build import PoseModel
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.heads import DeconvHead, SimCCHead
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.published.entry import Published
from jaxpose.models.published.hourglass import hourglass
from jaxpose.models.published.hrnet import hrnet_pose, hrnetv2_pose
from jaxpose.models.published.resnet import (
    Variant,
    deeppose,
    integral_regression,
    resnet_backbone,
    rle,
    simcc_resnet,
    simple_baseline,
)
from jaxpose.models.published.vitpose import vitpose, vitpose_plus
from jaxpose.models.regression_heads import RegressionHead, RLEHead

_SMALL, _SQUARE = (256, 192), (256, 256)
# Of SimpleBaseline's head (arXiv:1804.06208, section 2).
_DECONVOLUTIONS = (256, 256, 256)

# Whatever takes a number of keypoints, and an image size only if shapes follow it.
Make = Callable[..., PoseModel]


def _any_size(make: Make, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional, or the map is averaged
    return make(num_keypoints)


def _simple_baseline(depth: int, variant: Variant, num_keypoints: int) -> PoseModel:
    return simple_baseline(depth, num_keypoints, variant)


def _heatmaps(backbone: nn.Module, num_keypoints: int) -> PoseModel:
    return PoseModel(backbone, DeconvHead(num_keypoints, _DECONVOLUTIONS))


def _regression(backbone: nn.Module, num_keypoints: int) -> PoseModel:
    return PoseModel(backbone, RegressionHead(num_keypoints))


def _rle(backbone: nn.Module, num_keypoints: int) -> PoseModel:
    return PoseModel(backbone, RLEHead(num_keypoints))


def _simcc(
    backbone: nn.Module,
    deconvolutions: tuple[int, ...],
    num_keypoints: int,
    input_hw: tuple[int, int],
) -> PoseModel:
    head = SimCCHead(num_keypoints, (input_hw[0], input_hw[1]), deconv_channels=deconvolutions)
    return PoseModel(backbone, head)


# Name, constructor, image, and millions of parameters at 17 keypoints, counted.
_TABLE: tuple[tuple[str, Make, tuple[int, int], float | None], ...]
_TABLE = (
    # Shaped like ViTPose-S, which is therefore found first.
    ("vitpose-s-6heads", partial(vitpose, "S", heads=6), _SMALL, None),
    ("vitpose-ti", partial(vitpose, "Ti"), _SMALL, 7.36),
    ("vitpose-ti-simple", partial(vitpose, "Ti", head="simple"), _SMALL, 5.55),
    ("vitpose-g", partial(vitpose, "g"), _SMALL, 1018.18),
    ("vitpose-g-simple", partial(vitpose, "g", head="simple"), _SMALL, 1011.58),
    ("vitpose-gigantic", partial(vitpose, "G"), _SMALL, 1850.84),
    ("vitpose-gigantic-simple", partial(vitpose, "G", head="simple"), _SMALL, 1843.22),
    ("vitpose-s-simcc", partial(vitpose, "S", head="simcc"), _SMALL, 21.84),
    ("vitpose-b-simcc", partial(vitpose, "B", head="simcc"), _SMALL, 85.98),
    ("vitpose-plus-s-simple", partial(vitpose_plus, "S", head="simple"), _SMALL, 39.43),
    ("vitpose-plus-b-simple", partial(vitpose_plus, "B", head="simple"), _SMALL, 121.31),
    ("vitpose-plus-l-simple", partial(vitpose_plus, "L", head="simple"), _SMALL, 429.31),
    ("vitpose-plus-h-simple", partial(vitpose_plus, "H", head="simple"), _SMALL, 893.30),
    (
        "simple-baseline-r18",
        partial(_any_size, partial(_simple_baseline, 18, "v1b")),
        _SMALL,
        15.38,
    ),
    (
        "simple-baseline-r18-v1d",
        partial(_any_size, partial(_simple_baseline, 18, "v1d")),
        _SMALL,
        15.40,
    ),
    (
        "simple-baseline-r34",
        partial(_any_size, partial(_simple_baseline, 34, "v1b")),
        _SMALL,
        25.48,
    ),
    (
        "simple-baseline-r34-v1d",
        partial(_any_size, partial(_simple_baseline, 34, "v1d")),
        _SMALL,
        25.50,
    ),
    ("simcc-r18", partial(simcc_resnet, 18), _SMALL, 18.13),
    ("simcc-r34", partial(simcc_resnet, 34), _SMALL, 28.24),
    ("simcc-r101", partial(simcc_resnet, 101), _SMALL, 55.75),
    ("simcc-r152", partial(simcc_resnet, 152), _SMALL, 71.39),
    ("simcc-r18-direct", partial(_simcc, resnet_backbone(18), ()), _SMALL, 11.23),
    ("simcc-r34-direct", partial(_simcc, resnet_backbone(34), ()), _SMALL, 21.34),
    ("simcc-r50-direct", partial(_simcc, resnet_backbone(50), ()), _SMALL, 23.59),
    ("simcc-r101-direct", partial(_simcc, resnet_backbone(101), ()), _SMALL, 42.58),
    ("simcc-r152-direct", partial(_simcc, resnet_backbone(152), ()), _SMALL, 58.22),
    ("deeppose-r18", partial(_any_size, partial(deeppose, 18)), _SMALL, 11.19),
    ("deeppose-r34", partial(_any_size, partial(deeppose, 34)), _SMALL, 21.30),
    ("rle-r18", partial(_any_size, partial(rle, 18)), _SMALL, 11.27),
    ("rle-r34", partial(_any_size, partial(rle, 34)), _SMALL, 21.37),
    ("integral-r18", partial(_any_size, partial(integral_regression, 18)), _SQUARE, 15.38),
    ("integral-r34", partial(_any_size, partial(integral_regression, 34)), _SQUARE, 25.48),
    ("integral-r101", partial(_any_size, partial(integral_regression, 101)), _SQUARE, 52.99),
    ("integral-r152", partial(_any_size, partial(integral_regression, 152)), _SQUARE, 68.64),
    ("hrnet-w18-small", partial(_any_size, partial(hrnet_pose, "W18-small")), _SMALL, 1.28),
    ("hrnet-w18", partial(_any_size, partial(hrnet_pose, "W18")), _SMALL, 9.32),
    ("hrnetv2-w18-small", partial(_any_size, partial(hrnetv2_pose, "W18-small")), _SQUARE, 1.54),
    ("hrnetv2-w32", partial(_any_size, partial(hrnetv2_pose, "W32")), _SQUARE, 29.55),
    ("hrnetv2-w48", partial(_any_size, partial(hrnetv2_pose, "W48")), _SQUARE, 65.86),
    ("hourglass-104", partial(_any_size, partial(hourglass, "104")), _SQUARE, 187.71),
    ("mobilenetv2-1.4", partial(_any_size, partial(_heatmaps, MobileNetV2(1.4))), _SMALL, 13.76),
    ("mobilenetv2-0.75", partial(_any_size, partial(_heatmaps, MobileNetV2(0.75))), _SMALL, 8.70),
    ("mobilenetv2-0.5", partial(_any_size, partial(_heatmaps, MobileNetV2(0.5))), _SMALL, 8.03),
    ("mobilenetv2-0.35", partial(_any_size, partial(_heatmaps, MobileNetV2(0.35))), _SMALL, 7.74),
    ("simcc-mobilenetv2", partial(_simcc, MobileNetV2(), _DECONVOLUTIONS), _SMALL, 12.32),
    ("simcc-mobilenetv2-direct", partial(_simcc, MobileNetV2(), ()), _SMALL, 2.29),
    ("deeppose-mobilenetv2", partial(_any_size, partial(_regression, MobileNetV2())), _SMALL, 2.27),
    ("rle-mobilenetv2", partial(_any_size, partial(_rle, MobileNetV2())), _SMALL, 2.36),
    (
        "cspnext-t-heatmap",
        partial(_any_size, partial(_heatmaps, CSPNeXt(0.167, 0.375))),
        _SMALL,
        6.02,
    ),
    ("cspnext-s-heatmap", partial(_any_size, partial(_heatmaps, CSPNeXt(0.33, 0.5))), _SMALL, 8.58),
    (
        "cspnext-m-heatmap",
        partial(_any_size, partial(_heatmaps, CSPNeXt(0.67, 0.75))),
        _SMALL,
        17.53,
    ),
    ("cspnext-l-heatmap", partial(_any_size, partial(_heatmaps, CSPNeXt(1.0, 1.0))), _SMALL, 32.44),
    (
        "cspnext-x-heatmap",
        partial(_any_size, partial(_heatmaps, CSPNeXt(1.33, 1.25))),
        _SMALL,
        54.92,
    ),
)

SIBLINGS = tuple(
    Published(name, make, input_hw, parameters=millions)
    for name, make, input_hw, millions in _TABLE
)
