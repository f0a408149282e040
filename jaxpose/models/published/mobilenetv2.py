"""MobileNetV2 with SimpleBaseline's head."""

from collections.abc import Callable, Iterator
from functools import partial

import flax.linen as nn

from jaxpose.codecs import Codec, Regression, SimCC
from jaxpose.codecs.heatmap import msra
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead, SimCCHead
from jaxpose.models.mobilenetv2 import STAGES, MobileNetV2
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.models.regression_heads import RegressionHead, RLEHead
from jaxpose.skeletons import COCO17

__all__ = ["MOBILENETV2", "MobileNetV2", "mobilenet_pose"]

_DECONVOLUTIONS = (256, 256, 256)


def mobilenet_pose(
    num_keypoints: int = 17, *, widen: float = 1.0, dtype: str = "float32"
) -> PoseModel:
    """MobileNetV2 (arXiv:1801.04381) and three deconvolutions (arXiv:1804.06208).

    Heatmaps of a quarter of the image. `widen` is the factor on the backbone's channels.
    """
    head = DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype)
    return PoseModel(MobileNetV2(widen, dtype=dtype), head)


def _mmpose(model: MobileNetV2) -> list[Rule]:
    """Rules for MobileNetV2 in MMPose and MMPretrain.

    Stages are `layer1` to `layer7`; a block is a sequence.
    """
    del model  # the names are the same for every width
    rules = _module(r"backbone\.conv1", "stem") + _module(r"backbone\.conv2", "last")
    for s, k, parts in _blocks():
        for i, part in enumerate(parts):
            source = rf"backbone\.layer{s + 1}\.{k}\.conv\.{i}"
            rules += _module(source, f"stage_{s}_block_{k}/{part}")
    return rules


def _torchvision(model: MobileNetV2) -> list[Rule]:
    """Rules for MobileNetV2 in torchvision: blocks are numbered through all stages."""
    del model
    rules = _pair(r"features\.0\.0", r"features\.0\.1", "stem")
    rules += _pair(r"features\.18\.0", r"features\.18\.1", "last")
    for n, (s, k, parts) in enumerate(_blocks(), start=1):
        for i, part in enumerate(parts):
            source = rf"features\.{n}\.conv"
            # The projection and its norm are separate entries of the block's sequence.
            conv, norm = (
                (rf"{source}\.{i}", rf"{source}\.{i + 1}")
                if part == "project"
                else (rf"{source}\.{i}\.0", rf"{source}\.{i}\.1")
            )
            rules += _pair(conv, norm, f"stage_{s}_block_{k}/{part}")
    return rules


def _timm(model: MobileNetV2) -> list[Rule]:
    """Rules for MobileNetV2 in timm; the projection of a block without expansion is `conv_pw`."""
    del model
    rules = _pair("conv_stem", "bn1", "stem") + _pair("conv_head", "bn2", "last")
    for s, k, parts in _blocks():
        names = ("conv_pw", "conv_dw", "conv_pwl") if len(parts) == 3 else ("conv_dw", "conv_pw")
        for i, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
            source = rf"blocks\.{s}\.{k}"
            rules += _pair(rf"{source}\.{name}", rf"{source}\.bn{i}", f"stage_{s}_block_{k}/{part}")
    return rules


def _blocks() -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield stage, block and convolutions of every block, in order."""
    for s, (expansion, _, blocks, _) in enumerate(STAGES):
        parts = ("depthwise", "project") if expansion == 1 else ("expand", "depthwise", "project")
        for k in range(blocks):
            yield s, k, parts


def _module(source: str, target: str) -> list[Rule]:
    return _pair(rf"{source}\.conv", rf"{source}\.bn", target)


def _pair(conv: str, norm: str, target: str) -> list[Rule]:
    return layouts.conv_norm(conv, norm, f"backbone/{target}")


_FORMATS = (
    Format(
        name="torchvision MobileNetV2",
        marker=r"features\.0\.0\.weight",
        head=r"classifier\..+",
        purpose="classification",
        tables={MobileNetV2: _torchvision},
    ),
    Format(
        name="timm MobileNetV2",
        marker=r"blocks\.0\.0\.conv_dw\.weight",
        head=r"classifier\..+",
        purpose="classification",
        tables={MobileNetV2: _timm},
    ),
)

_PUBLISHED = tuple(
    PublishedPose(
        name=f"mobilenetv2{suffix}",
        make=any_size(mobilenet_pose, widen=1.0),
        codec=msra,
        skeleton=COCO17,
        input_hw=input_hw,
        score=score,
        source="MMPose topdown_heatmap/coco/mobilenetv2_coco: COCO val2017 AP, flip test",
        trained_on=("COCO",),
    )
    for suffix, input_hw, score in (
        ("", (256, 192), "AP 64.8"),
        ("-384x288", (384, 288), "AP 67.7"),
    )
)


def _with_head(
    head: Callable[[int], nn.Module], num_keypoints: int, input_hw: tuple[int, int]
) -> PoseModel:
    del input_hw  # fully convolutional, or the map is averaged
    return PoseModel(MobileNetV2(), head(num_keypoints))


def _simcc(
    deconvolutions: tuple[int, ...], num_keypoints: int, input_hw: tuple[int, int]
) -> PoseModel:
    head = SimCCHead(num_keypoints, (input_hw[0], input_hw[1]), deconv_channels=deconvolutions)
    return PoseModel(MobileNetV2(), head)


# Name, constructor, codec, and millions of parameters at 17 keypoints, counted.
_OTHERS: tuple[
    tuple[
        str,
        Callable[[int, tuple[int, int]], PoseModel],
        Callable[[tuple[int, int]], Codec],
        float,
    ],
    ...,
] = (
    ("mobilenetv2-1.4", any_size(mobilenet_pose, widen=1.4), msra, 13.76),
    ("mobilenetv2-0.75", any_size(mobilenet_pose, widen=0.75), msra, 8.70),
    ("mobilenetv2-0.5", any_size(mobilenet_pose, widen=0.5), msra, 8.03),
    ("mobilenetv2-0.35", any_size(mobilenet_pose, widen=0.35), msra, 7.74),
    ("simcc-mobilenetv2", partial(_simcc, _DECONVOLUTIONS), SimCC, 12.32),
    ("simcc-mobilenetv2-direct", partial(_simcc, ()), SimCC, 2.29),
    ("deeppose-mobilenetv2", partial(_with_head, RegressionHead), Regression, 2.27),
    ("rle-mobilenetv2", partial(_with_head, RLEHead), Regression, 2.36),
)

MOBILENETV2 = Family(
    "mobilenetv2",
    mmpose={MobileNetV2: _mmpose},
    formats=_FORMATS,
    published=_PUBLISHED,
    unpublished=tuple(
        PublishedPose(name=name, make=make, codec=codec, skeleton=None, parameters=millions)
        for name, make, codec, millions in _OTHERS
    ),
)
