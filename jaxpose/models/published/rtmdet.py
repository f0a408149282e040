"""RTMDet: CSPNeXt, path aggregation and a head whose levels share convolutions."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.conversion import Rule
from jaxpose.models.csp import Style
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.detection import DetectionModel, PathAggregation, RTMDetHead
from jaxpose.models.normalisation import IMAGENET_BGR
from jaxpose.models.published.csp import MM, prediction
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedDetector,
    Weights,
)

__all__ = ["RTMDET", "rtmdet"]

# Factors on the backbone's blocks and channels, blocks in the neck's layers, exponential distances
# (MMDetection's configs/rtmdet, and MMPose's projects/rtmpose/rtmdet for nano).
_SIZES = {
    "nano": (0.33, 0.25, 1, False),
    "tiny": (0.167, 0.375, 1, False),
    "s": (0.33, 0.5, 1, False),
    "m": (0.67, 0.75, 2, True),
}
# Channels of the head, at a factor of one.
_FEATURES = 256


def rtmdet(
    size: str, num_classes: int = 80, *, shared: bool | None = None, dtype: str = "float32"
) -> DetectionModel:
    """RTMDet (Lyu et al. 2022, arXiv:2212.07784) of `size` nano, tiny, s or m.

    Images are BGR, normalised with ImageNet's mean and standard deviation. Nano has depthwise
    separable convolutions and was published only for persons (`num_classes=1`). `shared` is an
    attribute of the head (see `RTMDetHead`); None takes the published value.
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown RTMDet size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, _SIZES)}"
        )
    deepen, widen, blocks, exponential = _SIZES[size]
    separable = size == "nano"
    style = Style(separable=separable, dtype=dtype)
    features = int(_FEATURES * widen)
    shared = not separable if shared is None else shared
    return DetectionModel(
        CSPNeXt(deepen, widen, (2, 3, 4), separable, dtype),
        RTMDetHead(num_classes, features, shared, exponential, style),
        PathAggregation(features, blocks, "cspnext", 3, style),
    )


def _mmdet_head(head: RTMDetHead) -> list[Rule]:
    """Rules for RTMDetSepBNHead."""
    rules = prediction(r"bbox_head\.rtm_cls", "class")
    rules += prediction(r"bbox_head\.rtm_reg", "box")
    tower = _shared_tower if head.shared else MM["cspnext"].tower
    rules += tower(r"bbox_head\.cls_convs", "class")
    rules += tower(r"bbox_head\.reg_convs", "box")
    return rules


def _shared_tower(source: str, target: str) -> list[Rule]:
    """Rules for convolutions that a checkpoint repeats for every level, and each level's norms."""
    tower, place = f"head/{target}_tower", rf"{source}\.(?P<i>\d+)\.(?P<j>\d+)"
    kernel = Rule(
        rf"{place}\.conv\.weight", f"params/{tower}/conv_{{j}}/kernel", layouts.conv, copies=True
    )
    return [kernel, *layouts.batch_norm(rf"{place}\.bn", f"{tower}/norm_{{i}}_{{j}}")]


_MMDET = "MMDetection configs/rtmdet"
_PERSON = "MMPose projects/rtmpose"
_WEIGHTS = {
    f"rtmdet-{size}-person": Weights(f"{OPENMMLAB}/v1/projects/rtmpose/rtmdet_{file}.pth", digits)
    for size, file, digits in (
        ("nano", "nano_8xb32-100e_coco-obj365-person-05d8511e", "05d8511e"),
        ("m", "m_8xb32-100e_coco-obj365-person-235e8209", "235e8209"),
    )
}

# Name, size, side of the images, classes, parameters (M), multiply-adds (G), AP of boxes, AP of
# persons, source.
_TABLE = (
    ("rtmdet-nano-person", "nano", 320, 1, 0.99, 0.31, None, 40.3, _PERSON),
    ("rtmdet-tiny", "tiny", 640, 80, 4.8, 8.1, 41.1, None, _MMDET),
    ("rtmdet-s", "s", 640, 80, 8.89, 14.8, 44.6, None, _MMDET),
    ("rtmdet-m", "m", 640, 80, 24.71, 39.27, 49.4, None, _MMDET),
    ("rtmdet-m-person", "m", 640, 1, 24.66, 38.95, None, 62.5, _PERSON),
)

RTMDET = Family(
    "rtmdet",
    mmdet={RTMDetHead: _mmdet_head},
    published=tuple(
        PublishedDetector(
            name=name,
            make=partial(rtmdet, size),
            input_hw=(side, side),
            normalisation=IMAGENET_BGR,
            num_classes=classes,
            parameters=parameters,
            gflops=gflops,
            box_ap=ap,
            person_ap=person_ap,
            source=source,
            licence=APACHE,
            trained_on=("COCO", "Objects365") if classes == 1 else ("COCO",),
            weights=_WEIGHTS.get(name),
            golden=("rtmdet",) if name == "rtmdet-nano-person" else (),
        )
        for name, size, side, classes, parameters, gflops, ap, person_ap, source in _TABLE
    ),
)
