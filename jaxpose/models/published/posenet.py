"""PoseNet: keypoints of all people in an image, or of one in a crop, on phones."""

from functools import partial

from jaxpose.codecs.displacement_fields import DisplacementFields, SinglePersonFields
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.mobilenetv1 import DisplacementHead, MobileNetV1
from jaxpose.models.normalisation import SIGNED_RGB
from jaxpose.models.published.record import APACHE, Family, PublishedPose, Weights, any_size
from jaxpose.skeletons import COCO17

__all__ = ["POSENET", "DisplacementHead", "MobileNetV1", "posenet"]


def posenet(num_keypoints: int = 17, *, widen: float = 0.75, dtype: str = "float32") -> PoseModel:
    """PoseNet (TensorFlow, 2018; PersonLab, arXiv:1803.08225) on MobileNetV1.

    Fields of a sixteenth of the image, which `codecs.DisplacementFields` decodes. The published
    weights have no norms, so this model has none.
    """
    backbone = MobileNetV1(widen, dtype=dtype)
    return PoseModel(backbone, DisplacementHead(num_keypoints, dtype=dtype))


_NET = r"MobilenetV1/"


def _mobilenet(model: MobileNetV1) -> list[Rule]:
    """Rules for the backbone: constants without names, by the node that uses them (see `tfjs`)."""
    rules = _node(rf"{_NET}MobilenetV1/Conv2d_0/Relu6", "params/backbone/stem")
    for i in range(len(model.layers)):
        source = rf"{_NET}MobilenetV1/Conv2d_{i + 1}"
        target = f"params/backbone/layer_{i}"
        norm = rf"{source}_depthwise/BatchNorm/batchnorm/add_1/conv"
        rules += [
            Rule(rf"{norm}:1", f"{target}_depthwise/conv/kernel", layouts.tf_depthwise),
            Rule(rf"{norm}:2", f"{target}_depthwise/bias"),
            *_node(rf"{source}_pointwise/Relu6", f"{target}_pointwise"),
        ]
    return rules


def _node(source: str, target: str) -> list[Rule]:
    return [Rule(rf"{source}:1", f"{target}/conv/kernel"), Rule(rf"{source}:2", f"{target}/bias")]


# Outputs in the graph, and ours.
_FIELDS = (
    ("heatmap_2", "heatmaps"),
    ("offset_2", "offsets"),
    ("displacement_fwd_2", "forward"),
    ("displacement_bwd_2", "backward"),
)


def _head(model: DisplacementHead) -> list[Rule]:
    """Rules for the head."""
    del model
    return [
        Rule(rf"{_NET}{source}/BiasAdd:{place}", f"params/head/{target}/{leaf}")
        for source, target in _FIELDS
        for place, leaf in ((1, "kernel"), (2, "bias"))
    ]


_FORMATS = (
    Format(
        name="PoseNet for TensorFlow.js",
        marker=rf"{_NET}displacement_fwd_2/BiasAdd:1",
        head=rf"{_NET}(heatmap|offset|displacement_fwd|displacement_bwd)_2/.+",
        tables={MobileNetV1: _mobilenet, DisplacementHead: _head},
        dataset="coco",
    ),
)

_NAME = "posenet-mobilenetv1-0.75"
_HUB = "https://storage.googleapis.com/tfjs-models/savedmodel/posenet/mobilenet/float/075"
_record = partial(
    PublishedPose,
    make=any_size(posenet),
    skeleton=COCO17,
    input_hw=(385, 385),
    padding=1.0,
    normalisation=SIGNED_RGB,
    parameters=1.26,  # counted in the published file
    source="TensorFlow's PoseNet for the browser, without a score",
    licence=APACHE,
    trained_on=("COCO",),
)

POSENET = Family(
    "posenet",
    formats=_FORMATS,
    published=(
        _record(
            name=_NAME,
            codec=DisplacementFields,
            takes="images",
            weights=Weights(f"{_HUB}/model-stride16.json"),
        ),
        _record(name=f"{_NAME}-single", codec=SinglePersonFields, same_arrays_as=_NAME),
    ),
)
