"""PP-PicoDet for people, of PaddleDetection."""

from collections.abc import Iterator

import numpy as np

from jaxpose.models import layouts
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.csp import Style
from jaxpose.models.detection import DetectionModel
from jaxpose.models.lcnet import LCNet
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.picodet import LightPathAggregation, PicoDetHead
from jaxpose.models.published.record import APACHE, Family, PublishedDetector

__all__ = ["PICODET", "LCNet", "PicoDetHead", "picodet"]

# Channels of the neck and the head of size S.
_FEATURES = 96
# The network is built part by part; norms and convolutions are numbered in that order. Numbers of
# the first norm of the neck and of the head, and of the first convolutions of the head.
_NECK_NORM, _HEAD_NORM, _ALIGN_NORM = 27, 54, 74
_HEAD_CONV, _OUTPUT_CONV = 62, 84
_LEVELS = 4


def picodet(num_classes: int = 1, *, dtype: str = "float32") -> DetectionModel:
    """PicoDet-S on PP-LCNet (PaddleDetection, configs/picodet; arXiv:2111.00902, 2109.15099).

    Images are RGB, normalised with ImageNet's mean and standard deviation. The weights have the
    batch norms folded into the convolutions, so the model has a bias in place of each norm.
    """
    style = Style(dtype=dtype, activation="hard_swish", norm="none")
    return DetectionModel(
        LCNet(0.75, style),
        PicoDetHead(num_classes, _FEATURES, style),
        LightPathAggregation(_FEATURES, style),
    )


def _backbone(model: LCNet) -> list[Rule]:
    rules = _conv(0, "backbone/stem")
    norm = conv = 1
    for i, (_, _, _, attention) in enumerate(model.blocks):
        name = f"backbone/block_{i}"
        rules += _conv(norm, f"{name}/depthwise")
        rules += _conv(norm + 1, f"{name}/pointwise")
        if attention:
            rules += _biased(conv + 1, f"{name}/attention/squeeze")
            rules += _biased(conv + 2, f"{name}/attention/excite")
        norm, conv = norm + 2, conv + (4 if attention else 2)
    return rules


def _neck(neck: LightPathAggregation) -> list[Rule]:
    del neck
    names = _neck_convolutions()
    return [rule for i, name in enumerate(names) for rule in _conv(_NECK_NORM + i, f"neck/{name}")]


def _neck_convolutions() -> Iterator[str]:
    """Yield the convolutions of a neck in the order in which PaddleDetection builds them."""
    yield from ("reduce_0", "reduce_1", "reduce_2")
    for name in (
        *("extra_before", "extra_after"),
        *("down_0_0", "down_0_1", "down_1_0", "down_1_1"),
        *("shrink_0", "up_0_0", "up_0_1", "shrink_1", "up_1_0", "up_1_1"),
    ):
        yield from (f"{name}/depthwise", f"{name}/pointwise")


def _head(head: PicoDetHead) -> list[Rule]:
    rules = []
    step = 2 * head.convs + 1  # norms of one level, without alignment
    for i in range(_LEVELS):
        norm = _HEAD_NORM + step * i
        for k in range(head.convs):
            rules += _conv(norm + 2 * k, f"head/conv_{i}_{k}/depthwise")
            rules += _conv(norm + 2 * k + 1, f"head/conv_{i}_{k}/pointwise")
        rules += _conv(norm + step - 1, f"head/attention_{i}_conv")
        for k in range(2):
            rules += _conv(_ALIGN_NORM + 2 * i + k, f"head/align_{i}_{k}")
        rules += _biased(_HEAD_CONV + (step + 1) * i, f"head/attention_{i}_fc")
        # Two outputs, then the two convolutions of the alignment.
        rules += _biased(_OUTPUT_CONV + 4 * i, f"head/class_{i}")
        rules += _biased(_OUTPUT_CONV + 4 * i + 1, f"head/box_{i}")
    return rules


def _conv(norm: int, target: str) -> list[Rule]:
    """Rules for a convolution with a folded norm, by the norm's number."""
    return layouts.folded_openvino(rf"batch_norm2d_{norm}\.b_0", f"params/{target}")


def _biased(conv: int, target: str) -> list[Rule]:
    """Rules for a convolution with a bias and without a norm, by its number."""
    return [
        Rule(rf"conv2d_{conv}\.w_0", f"params/{target}/kernel", layouts.conv),
        Rule(rf"conv2d_{conv}\.w_0/Add", f"params/{target}/bias", layouts.flat),
    ]


_DECODING = "a constant of the decoding of boxes"
_ACTIVATION = "a constant of an activation"
# The file stores a sixth in float16.
_SIXTH = float(np.float16(1 / 6))

_OPENVINO = Format(
    name="PP-PicoDet (OpenVINO)",
    marker=r".+/HardSigmoid",
    head=r"conv2d_\d+\.w_0(/Add)?",
    purpose="detection",
    tables={LCNet: _backbone, LightPathAggregation: _neck, PicoDetHead: _head},
    rules=(
        Rule(r"[^.]+/HardSigmoid", None, reason=_ACTIVATION, numbers=(0.5, _SIXTH)),
        # 6/6 of the hard swish; factors of the enlargements; strides.
        Rule(r"[^.]+/Multiply", None, reason=_ACTIVATION, numbers=(1, 2, 8, 16, 32, 64)),
        Rule(r"[^.]+/MatMul", None, reason=_DECODING, numbers=tuple(range(8))),
        Rule(r"[^.]+/Add", None, reason=_DECODING, numbers=(4, 8, 16, 32)),
        Rule(r"[^.]+/(Range|Subtract)", None, reason=_DECODING, numbers=(0, 1)),
    ),
)

PICODET = Family(
    "picodet",
    formats=(_OPENVINO,),
    published=(
        PublishedDetector(
            name="picodet-s-320-person",
            make=picodet,
            input_hw=(320, 320),
            normalisation=IMAGENET_RGB,
            num_classes=1,
            parameters=1.18,
            person_ap=41.6,
            source="PaddleDetection configs/keypoint/tiny_pose",
            licence=APACHE,
            trained_on=("COCO", "AI Challenger"),
        ),
    ),
)
