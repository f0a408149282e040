"""MoveNet: keypoints of one person on phones."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from jaxpose.codecs.center_keypoints import CenterKeypoints
from jaxpose.codecs.center_people import CenterPeople
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.mobilenetv2 import STAGES
from jaxpose.models.movenet import (
    PATH,
    CenterKeypointHead,
    MobileNetV2Pyramid,
    MultiPoseHead,
)
from jaxpose.models.normalisation import SIGNED_RGB
from jaxpose.models.published.record import APACHE, Family, PublishedPose, Weights, any_size
from jaxpose.skeletons import COCO17

__all__ = [
    "MOVENET",
    "CenterKeypointHead",
    "MobileNetV2Pyramid",
    "MultiPoseHead",
    "movenet",
    "movenet_multipose",
]

# Factors on MobileNetV2's channels.
_LIGHTNING = 1.0
_THUNDER = 1.75
_MULTIPOSE = 1.5


def movenet(num_keypoints: int = 17, *, widen: float = 1.0, dtype: str = "float32") -> PoseModel:
    """MoveNet (TensorFlow, 2021): Lightning with `widen` 1, Thunder with 1.75.

    Fields of a quarter of the image, which `codecs.CenterKeypoints` decodes. The published weights
    have no norms, so this model has none.
    """
    backbone = MobileNetV2Pyramid(widen, dtype=dtype)
    return PoseModel(backbone, CenterKeypointHead(num_keypoints, dtype=dtype))


def movenet_multipose(num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """MoveNet MultiPose Lightning (TensorFlow, 2021), for several people in a whole image.

    As `movenet`, with boxes; `codecs.CenterPeople` decodes its fields.
    """
    backbone = MobileNetV2Pyramid(_MULTIPOSE, dtype=dtype)
    return PoseModel(backbone, MultiPoseHead(num_keypoints, dtype=dtype))


_CALL = r"StatefulPartitionedCall/"
_EXTRACTOR = rf"{_CALL}center_net_mobile_net_v2fpn_feature_extractor/model_1/"
_READ = "ReadVariableOp"


def _pyramid(model: MobileNetV2Pyramid) -> list[Rule]:
    """Rules for the backbone in TensorFlow's graph.

    MobileNetV2 has the names of Keras. A norm is folded into its convolution, and its shift is
    `bn_offset`.
    """
    del model  # the names are the same for every width
    rules = []
    for source, target, depthwise in _convolutions():
        kind = "depthwise" if depthwise else "Conv2D"
        layout = layouts.tf_depthwise if depthwise else np.asarray
        source, target = rf"{_EXTRACTOR}model/{source}/{kind}", f"params/backbone/{target}"
        rules += [
            Rule(rf"{source}_weights", f"{target}/conv/kernel", layout),
            Rule(rf"{source}_bn_offset", f"{target}/bias"),
        ]
    projections = ("top", *(f"from_stage_{step}" for step in range(len(PATH))))
    for number, target in enumerate(projections):
        name = f"conv2d_{number}" if number else "conv2d"
        rules += _plain_conv(rf"{_EXTRACTOR}{name}", f"params/backbone/{target}")
    for step in range(len(PATH)):
        name = f"separable_conv2d_{step}" if step else "separable_conv2d"
        source, target = rf"{_EXTRACTOR}{name}/separable_conv2d", f"params/backbone/path_{step}"
        rules += [
            Rule(rf"{source}/{_READ}", f"{target}_depthwise/kernel", layouts.tf_depthwise),
            Rule(rf"{source}_weights", f"{target}/conv/kernel"),
            Rule(rf"{source}_bn_offset", f"{target}/bias"),
        ]
    return rules


def _convolutions() -> Iterator[tuple[str, str, bool]]:
    """Yield Keras' name, ours and whether it is depthwise of MobileNetV2's convolutions."""
    yield "Conv1", "mobilenet/stem", False
    number = 0
    for s, (_, _, blocks, _) in enumerate(STAGES):
        for k in range(blocks):
            source = f"block_{number}" if number else "expanded_conv"
            parts = ("expand", "depthwise", "project") if number else ("depthwise", "project")
            for part in parts:
                target = f"mobilenet/stage_{s}_block_{k}/{part}"
                yield f"{source}_{part}", target, part == "depthwise"
            number += 1
    yield "Conv_1", "mobilenet/last", False


# Branches of the head: the name in the graph, and ours.
_BRANCHES = (
    ("center_0", "center"),
    ("kpt_heatmap_0", "heatmaps"),
    ("kpt_regress_0", "regression"),
    ("kpt_offset_0", "offsets"),
)
_BOXES = (("box_offset_0", "box_offsets"), ("box_scale_0", "box_sizes"))


def _head(model: CenterKeypointHead | MultiPoseHead) -> list[Rule]:
    """Rules for the head in TensorFlow's graph."""
    rules = []
    several = isinstance(model, MultiPoseHead)
    for source, target in (*_BRANCHES, *(_BOXES if several else ())):
        source, target = rf"{_CALL}{source}/", f"params/head/{target}"
        separable = rf"{source}separable_conv2d_\d+/"
        kernel = rf"{separable}separable_conv2d/{_READ}"
        rules += [
            Rule(kernel, f"{target}/depthwise/kernel", layouts.tf_depthwise),
            Rule(rf"{kernel}_1", f"{target}/pointwise/conv/kernel"),
            Rule(rf"{separable}BiasAdd/{_READ}", f"{target}/pointwise/bias"),
            *_plain_conv(rf"{source}conv2d_\d+", f"{target}/output"),
        ]
    return rules


def _plain_conv(source: str, target: str) -> list[Rule]:
    return [
        Rule(rf"{source}/Conv2D/{_READ}", f"{target}/kernel"),
        Rule(rf"{source}/BiasAdd/{_READ}", f"{target}/bias"),
    ]


# Constants of the graph that are no weights, by the part of this library that has them.
_CONSTANTS = (
    Rule(
        rf"{_CALL}(Reshape|truediv|sub_1/y|ResizeImage/resize/ExpandDims/dim)"
        r"|ConstantFolding/StatefulPartitionedCall/stack_const_axis",
        None,
        reason="a number of the normalisation, which the model has",
    ),
    Rule(
        rf"{_EXTRACTOR}up_sampling2d(_\d+)?/mul",
        None,
        reason="the size of a map, which follows from the image's",
    ),
    Rule(
        r"ConstantFolding/StatefulPartitionedCall/truediv_2_recip"
        rf"|{_CALL}(strided_slice_[34]|add_5/y|Reshape_13)",
        None,
        reason="a number of the decoding, which the codec has",
    ),
    Rule(
        rf"{_CALL}(ExpandDims_\d+(/dim)?|Reshape_\d+/shape|Reshape_[38]|stack_4|ArgMax(_1)?/dimension"
        r"|(floordiv|mul)(_1)?/y|concat(_1)?/axis)",
        None,
        reason="an index or a shape of the decoding, which the codec has",
    ),
)

_MULTIPOSE_CONSTANTS = (
    Rule(
        rf"{_CALL}(Reshape|truediv|sub_1/y)",
        None,
        reason="a number of the normalisation, which the model has",
    ),
    Rule(
        rf"{_EXTRACTOR}up_sampling2d(_\d+)?/(Const|strided_slice/stack(_[12])?)",
        None,
        reason="the size of a map, which follows from the image's",
    ),
    Rule(
        r"ConstantFolding/StatefulPartitionedCall/truediv_\d_recip"
        rf"|{_CALL}(truediv_[89]/x|mul_\d/[xy]|(Less|Greater_1|Maximum(_1)?)/y"
        r"|clip_by_value(_\d)?(/Minimum)?/y)",
        None,
        reason="a number of the decoding, which the codec has",
    ),
    Rule(
        rf"{_CALL}((ExpandDims|split|Max|Sum|ArgMax|concat)(_\d)?/\w+|Reshape_\d+(/shape(/[23])?)?"
        r"|(strided_slice(_\d+)?/stack(_[12])?)|(Tile_\d/multiples)|(range_\d/\w+)|x(_2)?|Const_2"
        r"|(mul|floordiv(_\d)?)/y|meshgrid/\w+/\w+|TopKV2/k|zeros_like)",
        None,
        reason="an index or a shape of the decoding, which the codec has",
    ),
)

_FORMATS = (
    # First: the names of the single person's model are among these.
    Format(
        name="MoveNet MultiPose for TensorFlow.js",
        marker=rf"{_CALL}box_scale_0/.+",
        head=rf"{_CALL}(center|kpt_\w+|box_\w+)_0/.+",
        tables={MobileNetV2Pyramid: _pyramid, MultiPoseHead: _head},
        rules=_MULTIPOSE_CONSTANTS,
        dataset="coco",
    ),
    Format(
        name="MoveNet for TensorFlow.js",
        marker=rf"{_CALL}kpt_regress_0/.+",
        head=rf"{_CALL}(center|kpt_\w+)_0/.+",
        tables={MobileNetV2Pyramid: _pyramid, CenterKeypointHead: _head},
        rules=_CONSTANTS,
        dataset="coco",
    ),
)

_HUB = "https://tfhub.dev/google/tfjs-model/movenet"

_PUBLISHED = tuple(
    PublishedPose(
        name=f"movenet-{name}",
        make=any_size(movenet, widen=widen),
        codec=partial(CenterKeypoints, half_constants=True),
        skeleton=COCO17,
        input_hw=(side, side),
        padding=1.0,
        normalisation=SIGNED_RGB,
        parameters=millions,
        score=f"mAP {score}",
        source="TensorFlow Lite's page on pose estimation, model of float16; the data of the score "
        "is not stated",
        licence=APACHE,
        trained_on=("COCO", "Active"),
        weights=Weights(f"{_HUB}/singlepose/{name}/4/model.json?tfjs-format=file"),
    )
    # Millions of weights are counted in the published files.
    for name, side, widen, millions, score in (
        ("lightning", 192, _LIGHTNING, 2.32, "63.0"),
        ("thunder", 256, _THUNDER, 6.23, "72.0"),
    )
)

_SEVERAL = PublishedPose(
    name="movenet-multipose",
    make=lambda num_keypoints, input_hw: movenet_multipose(num_keypoints),
    codec=CenterPeople,
    skeleton=COCO17,
    input_hw=(256, 256),
    normalisation=SIGNED_RGB,
    takes="images",
    parameters=4.72,  # counted in the published file
    source="TensorFlow's MoveNet MultiPose Lightning, version 1, without a score",
    licence=APACHE,
    trained_on=("COCO", "Active"),
    weights=Weights(f"{_HUB}/multipose/lightning/1/model.json?tfjs-format=file"),
)

MOVENET = Family("movenet", formats=_FORMATS, published=(*_PUBLISHED, _SEVERAL))
