"""RTMDet: CSPNeXt, path aggregation and a head whose levels share convolutions."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.csp import Style
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.detection import DetectionModel, PathAggregation, RTMDetHead
from jaxpose.models.published.detection import PublishedDetector

# Factors on the backbone's blocks and channels, blocks in the neck's layers, exponential distances
# (MMDetection's configs/rtmdet, and MMPose's projects/rtmpose/rtmdet for nano).
_SIZES = {
    "nano": (0.33, 0.25, 1, False),
    "tiny": (0.167, 0.375, 1, False),
    "s": (0.33, 0.5, 1, False),
    "m": (0.67, 0.75, 2, True),
}
# Of the head, at a factor of one.
_FEATURES = 256


def rtmdet(
    size: str, num_classes: int = 80, *, shared: bool | None = None, dtype: str = "float32"
) -> DetectionModel:
    """RTMDet (Lyu et al. 2022, arXiv:2212.07784) of `size` nano, tiny, s or m.

    For BGR images, normalised with ImageNet's mean and deviation. Nano, whose convolutions are
    depthwise separable, was published for persons alone (`num_classes=1`). `shared` is the head's
    (see `RTMDetHead`); None takes the published one.
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


_MMDET = "MMDetection configs/rtmdet"
_PERSON = "MMPose projects/rtmpose"

# Name, size, side of the images, classes, parameters (M), multiply-adds (G), AP of boxes, AP of
# persons, source.
_TABLE = (
    ("rtmdet-nano-person", "nano", 320, 1, 0.99, 0.31, None, 40.3, _PERSON),
    ("rtmdet-tiny", "tiny", 640, 80, 4.8, 8.1, 41.1, None, _MMDET),
    ("rtmdet-s", "s", 640, 80, 8.89, 14.8, 44.6, None, _MMDET),
    ("rtmdet-m", "m", 640, 80, 24.71, 39.27, 49.4, None, _MMDET),
    ("rtmdet-m-person", "m", 640, 1, 24.66, 38.95, None, 62.5, _PERSON),
)

PUBLISHED = tuple(
    PublishedDetector(
        name, partial(rtmdet, size), (side, side), classes, parameters, gflops, ap, person_ap,
        source,
    )
    for name, size, side, classes, parameters, gflops, ap, person_ap, source in _TABLE
)  # fmt: skip
