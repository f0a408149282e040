"""Models with a ResNet backbone: heatmaps, SimCC, and three kinds of regression."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from jaxpose.codecs import Codec, IntegralRegression, Regression, SimCC
from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead, SimCCHead
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead
from jaxpose.models.resnet import ResNet
from jaxpose.skeletons import COCO17

__all__ = [
    "RESNET",
    "ResNet",
    "deeppose",
    "integral_regression",
    "resnet_backbone",
    "rle",
    "simcc_resnet",
    "simple_baseline",
]

# Bottlenecks or basic blocks, and blocks of each stage (arXiv:1512.03385, table 1).
_DEPTHS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
# Channels of the heads with deconvolutions (arXiv:1804.06208, section 2).
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
    """First stage of DeepPose (Toshev & Szegedy 2014, arXiv:1312.4659), on a ResNet."""
    return PoseModel(resnet_backbone(depth, dtype=dtype), RegressionHead(num_keypoints))


def rle(depth: int, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """Regression trained by residual log-likelihood (Li et al. 2021, arXiv:2107.11291)."""
    return PoseModel(resnet_backbone(depth, dtype=dtype), RLEHead(num_keypoints))


def integral_regression(
    depth: int, num_keypoints: int = 17, *, debias: bool = False, dtype: str = "float32"
) -> PoseModel:
    """Integral regression (Sun et al. 2018, arXiv:1711.08229) on SimpleBaseline's heatmaps.

    `debias=True` removes the softmax's bias and multiplies its logits by ten (Gu et al. 2021,
    "Removing the Bias of Integral Pose Regression"; settings of MMPose).
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


def _direct_simcc(depth: int, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    """SimCC on the backbone's map, without deconvolutions."""
    head = SimCCHead(num_keypoints, (input_hw[0], input_hw[1]), deconv_channels=())
    return PoseModel(resnet_backbone(depth), head)


def _integral_codec(input_hw: tuple[int, int]) -> IntegralRegression:
    return IntegralRegression(input_hw, (input_hw[0] // 4, input_hw[1] // 4))


def mmpose_resnet(model: ResNet, layers: Sequence[tuple[str, str, str]] = ()) -> list[Rule]:
    """Rules for MMPose's and MMPretrain's ResNet and ResNetV1d; `layers` is that of `stages`.

    Entry 0 of a pooled shortcut is the mean, if it has one; the convolution is next.
    """
    rules = stages(model, r"backbone\.", layers=layers)
    if model.variant == "v1d":
        stem = r"backbone\.stem\.(?P<i>\d+)"
        rules += layouts.conv_norm(rf"{stem}\.conv", rf"{stem}\.bn", "backbone/stem_{i}")
    else:
        rules += layouts.conv_norm(r"backbone\.conv1", r"backbone\.bn1", "backbone/stem_0")
    return rules


def timm_resnet(model: ResNet) -> list[Rule]:
    """Rules for timm's and torchvision's ResNet; "v1d" is timm's `resnet50d` and similar models."""
    rules = stages(model, "", always_pooled=True)
    if model.variant == "v1d":
        for i, norm in enumerate((r"conv1\.1", r"conv1\.4", "bn1")):
            rules += layouts.conv_norm(rf"conv1\.{3 * i}", norm, f"backbone/stem_{i}")
    else:
        rules += layouts.conv_norm("conv1", "bn1", "backbone/stem_0")
    return rules


def _timm_classifier(head: ClassificationHead) -> list[Rule]:
    """Rules for the classifier of timm's and torchvision's ResNet."""
    return layouts.dense("fc", "head/linear")


def stages(
    model: ResNet,
    prefix: str,
    always_pooled: bool = False,
    layers: Sequence[tuple[str, str, str]] = (),
) -> list[Rule]:
    """Rules for residual blocks.

    Args:
      always_pooled: shortcuts without stride have an (empty) mean, too.
      layers: layers of a block with a norm: our name, and the sources' of convolution and norm;
        empty for those of ordinary blocks.
    """
    if not layers:
        count = 3 if model.bottleneck else 2
        layers = [(f"conv_{i}", f"conv{i + 1}", f"bn{i + 1}") for i in range(count)]
    rules = []
    for s in range(len(model.blocks)):
        source, target = block_names(prefix, s)
        pooled = model.variant == "v1d" and (always_pooled or s > 0)
        first = 1 if pooled else 0
        shortcut = "shortcut", rf"downsample\.{first}", rf"downsample\.{first + 1}"
        for ours, conv, norm in (shortcut, *layers):
            rules += layouts.conv_norm(
                rf"{source}\.{conv}", rf"{source}\.{norm}", f"{target}/{ours}"
            )
    return rules


def block_names(prefix: str, stage: int) -> tuple[str, str]:
    """Pattern of the names of a stage's blocks in PyTorch's projects, and our names."""
    return rf"{prefix}layer{stage + 1}\.(?P<k>\d+)", f"backbone/stage_{stage}_block_" + "{k}"


_ZOO = "MMPose 1.3 model zoo"
_SMALL, _LARGE, _SQUARE = (256, 192), (384, 288), (256, 256)
_COCO = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco"
_WEIGHTS = {
    (50, _SMALL): Weights(
        f"{_COCO}/td-hm_res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth", "04af38ce"
    ),
    (50, _LARGE): Weights(
        f"{_COCO}/td-hm_res50_8xb64-210e_coco-384x288-7b8db90e_20220923.pth", "7b8db90e"
    ),
}

# AP: COCO val2017 with the detections of 56.4 person AP, flip test. The multiply-adds that
# arXiv:1908.07919 gives for SimpleBaseline (8.90, 12.4 and 15.7 G) are left out: they exceed a
# count of matmuls and convolutions by 3.0 to 3.5 G, and the paper does not explain the count.
_SIMPLE_BASELINES = tuple(
    PublishedPose(
        name=_name(f"simple-baseline-r{depth}", hw),
        make=partial(_simple_baseline, depth, "v1b"),
        codec=msra,
        skeleton=COCO17,
        input_hw=hw,
        parameters=parameters,
        score=f"AP {ap}",
        source=f"parameters: arXiv:1908.07919; AP: {_ZOO}",
        licence=APACHE if (depth, hw) in _WEIGHTS else "",
        trained_on=("COCO",),
        weights=_WEIGHTS.get((depth, hw)),
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

_Make = Callable[[int, tuple[int, int]], PoseModel]
_Codec = Callable[[tuple[int, int]], Codec]

# Name, constructor, codec, input, AP, golden.
_V1D = partial(partial, _simple_baseline)
_OTHERS: tuple[tuple[str, _Make, _Codec, tuple[int, int], float, str], ...] = (
    ("simple-baseline-r50-v1d", _V1D(50, "v1d"), msra, _SMALL, 72.2, ""),
    ("simple-baseline-r101-v1d", _V1D(101, "v1d"), msra, _SMALL, 73.2, ""),
    ("simple-baseline-r152-v1d", _V1D(152, "v1d"), msra, _SMALL, 73.7, ""),
    ("simple-baseline-r50-v1d", _V1D(50, "v1d"), msra, _LARGE, 73.0, ""),
    ("simple-baseline-r101-v1d", _V1D(101, "v1d"), msra, _LARGE, 74.8, ""),
    ("simple-baseline-r152-v1d", _V1D(152, "v1d"), msra, _LARGE, 75.1, ""),
    ("simcc-r50", partial(simcc_resnet, 50), SimCC, _SMALL, 72.1, "simcc_r50_256x192"),
    ("simcc-r50", partial(simcc_resnet, 50), SimCC, _LARGE, 73.5, ""),
    ("deeppose-r50", partial(_deeppose, 50), Regression, _SMALL, 54.1, "deeppose_r50_256x192"),
    ("deeppose-r101", partial(_deeppose, 101), Regression, _SMALL, 56.2, ""),
    ("deeppose-r152", partial(_deeppose, 152), Regression, _SMALL, 58.4, ""),
    ("rle-r50", partial(_rle, 50), Regression, _SMALL, 70.6, "rle_r50_256x192"),
    ("rle-r101", partial(_rle, 101), Regression, _SMALL, 72.2, ""),
    ("rle-r152", partial(_rle, 152), Regression, _SMALL, 73.1, ""),
    ("rle-r152", partial(_rle, 152), Regression, _LARGE, 74.9, ""),
    ("integral-r50", partial(_integral, 50, False), _integral_codec, _SQUARE, 63.3, ""),
    ("integral-r50-debias", partial(_integral, 50, True), _integral_codec, _SQUARE, 67.5, ""),
)

# Name, constructor, codec, input, and millions of parameters at 17 keypoints, counted.
_UNPUBLISHED: tuple[tuple[str, _Make, _Codec, tuple[int, int], float], ...] = (
    ("simple-baseline-r18", partial(_simple_baseline, 18, "v1b"), msra, _SMALL, 15.38),
    ("simple-baseline-r18-v1d", partial(_simple_baseline, 18, "v1d"), msra, _SMALL, 15.40),
    ("simple-baseline-r34", partial(_simple_baseline, 34, "v1b"), msra, _SMALL, 25.48),
    ("simple-baseline-r34-v1d", partial(_simple_baseline, 34, "v1d"), msra, _SMALL, 25.50),
    ("simcc-r18", partial(simcc_resnet, 18), SimCC, _SMALL, 18.13),
    ("simcc-r34", partial(simcc_resnet, 34), SimCC, _SMALL, 28.24),
    ("simcc-r101", partial(simcc_resnet, 101), SimCC, _SMALL, 55.75),
    ("simcc-r152", partial(simcc_resnet, 152), SimCC, _SMALL, 71.39),
    ("simcc-r18-direct", partial(_direct_simcc, 18), SimCC, _SMALL, 11.23),
    ("simcc-r34-direct", partial(_direct_simcc, 34), SimCC, _SMALL, 21.34),
    ("simcc-r50-direct", partial(_direct_simcc, 50), SimCC, _SMALL, 23.59),
    ("simcc-r101-direct", partial(_direct_simcc, 101), SimCC, _SMALL, 42.58),
    ("simcc-r152-direct", partial(_direct_simcc, 152), SimCC, _SMALL, 58.22),
    ("deeppose-r18", partial(_deeppose, 18), Regression, _SMALL, 11.19),
    ("deeppose-r34", partial(_deeppose, 34), Regression, _SMALL, 21.30),
    ("rle-r18", partial(_rle, 18), Regression, _SMALL, 11.27),
    ("rle-r34", partial(_rle, 34), Regression, _SMALL, 21.37),
    ("integral-r18", partial(_integral, 18, False), _integral_codec, _SQUARE, 15.38),
    ("integral-r34", partial(_integral, 34, False), _integral_codec, _SQUARE, 25.48),
    ("integral-r101", partial(_integral, 101, False), _integral_codec, _SQUARE, 52.99),
    ("integral-r152", partial(_integral, 152, False), _integral_codec, _SQUARE, 68.64),
)

RESNET = Family(
    "resnet",
    mmpose={ResNet: mmpose_resnet},
    formats=(
        Format(
            name="timm and torchvision ResNet",
            marker=r"layer4\.0\.conv1\.weight",
            head=r"fc\..+",
            purpose="classification",
            tables={ResNet: timm_resnet, ClassificationHead: _timm_classifier},
        ),
    ),
    published=(
        *_SIMPLE_BASELINES,
        *(
            PublishedPose(
                name=_name(base, hw),
                make=make,
                codec=codec,
                skeleton=COCO17,
                input_hw=hw,
                score=f"AP {ap}",
                source=_ZOO,
                trained_on=("COCO",),
                golden=(golden,) if golden else (),
                same_arrays_as="integral-r50-256x256" if base == "integral-r50-debias" else "",
            )
            for base, make, codec, hw, ap, golden in _OTHERS
        ),
    ),
    unpublished=tuple(
        PublishedPose(
            name=name,
            make=make,
            codec=codec,
            skeleton=None,
            input_hw=hw,
            parameters=millions,
        )
        for name, make, codec, hw, millions in _UNPUBLISHED
    ),
)
