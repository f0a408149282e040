"""YOLOX: CSPDarknet, path aggregation and a decoupled head without anchors."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.darknet import CSPDarknet, yolox_style
from jaxpose.models.detection import DetectionModel, PathAggregation, YOLOXHead
from jaxpose.models.published.detection import PublishedDetector

# Factors on blocks and channels (the authors' exps/default); nano's convolutions are separable.
_SIZES = {"nano": (0.33, 0.25), "tiny": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75)}
# Of the neck's layers and the head, at factors of one.
_BLOCKS, _FEATURES = 3, 256


def yolox(size: str, num_classes: int = 80, *, dtype: str = "float32") -> DetectionModel:
    """YOLOX (Ge et al. 2021, arXiv:2107.08430) of `size` nano, tiny, s or m.

    For BGR images on 0 to 255.
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown YOLOX size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, _SIZES)}"
        )
    deepen, widen = _SIZES[size]
    separable = size == "nano"
    style = yolox_style(separable, dtype)
    features, blocks = int(_FEATURES * widen), round(_BLOCKS * deepen)
    return DetectionModel(
        CSPDarknet(deepen, widen, separable=separable, dtype=dtype),
        YOLOXHead(num_classes, features, style),
        PathAggregation(features, blocks, "darknet", 1, style),
    )


_SOURCE = "YOLOX's README"

# Size, side of the images, parameters (M), multiply-adds (G: half of the README's FLOPs, which
# count two for each), AP of boxes.
_TABLE = (
    ("nano", 416, 0.91, 0.54, 25.8),
    ("tiny", 416, 5.06, 3.225, 32.8),
    ("s", 640, 9.0, 13.4, 40.5),
    ("m", 640, 25.3, 36.9, 46.9),
)

PUBLISHED = tuple(
    PublishedDetector(
        f"yolox-{size}", partial(yolox, size), (side, side), 80, parameters, gflops, ap, None,
        _SOURCE,
    )
    for size, side, parameters, gflops, ap in _TABLE
)  # fmt: skip
