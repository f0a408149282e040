"""YOLOX: CSPDarknet, path aggregation and a decoupled head without anchors."""

from functools import partial

import flax.linen as nn

from jaxpose.errors import InputError, nearest
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.darknet import NORM_EPSILON, CSPDarknet, yolox_style
from jaxpose.models.detection import DetectionModel, PathAggregation, YOLOXHead
from jaxpose.models.normalisation import PIXELS_BGR
from jaxpose.models.published.csp import MM, YOLOX_KERNELS, Names, prediction
from jaxpose.models.published.record import (
    APACHE,
    Family,
    PublishedDetector,
    Weights,
)

__all__ = ["YOLOX", "yolox"]

# Factors on blocks and channels (the authors' exps/default); nano's convolutions are separable.
_SIZES = {"nano": (0.33, 0.25), "tiny": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75)}
# Blocks of the neck's layers and channels of the head, at factors of one.
_BLOCKS, _FEATURES = 3, 256


def yolox(size: str, num_classes: int = 80, *, dtype: str = "float32") -> DetectionModel:
    """YOLOX (Ge et al. 2021, arXiv:2107.08430) of `size` nano, tiny, s or m.

    Images are BGR on 0 to 255.
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


_MM = MM["darknet"]
_MEGVII = Names("dconv", "pconv", "conv1", "conv2", "conv3", "m", YOLOX_KERNELS, NORM_EPSILON)

# The names are the same for every size, so the tables do not depend on the module.


def _mmdet_backbone(backbone: nn.Module) -> list[Rule]:
    """Rules for CSPDarknet of MMDetection."""
    del backbone
    stages = tuple(rf"backbone\.stage{s}" for s in (1, 2, 3, 4))
    return _MM.conv(r"backbone\.stem\.conv", "backbone/stem") + _MM.stages(stages)


def _mmdet_head(head: nn.Module) -> list[Rule]:
    """Rules for YOLOXHead of MMDetection."""
    del head
    source = r"bbox_head\.multi_level_"
    return [
        *_MM.tower(f"{source}cls_convs", "class"),
        *_MM.tower(f"{source}reg_convs", "box"),
        *prediction(f"{source}conv_cls", "class"),
        *prediction(f"{source}conv_reg", "box"),
        *prediction(f"{source}conv_obj", "objectness"),
    ]


def _megvii_backbone(backbone: nn.Module) -> list[Rule]:
    """Rules for CSPDarknet of YOLOX's own code."""
    del backbone
    source = r"backbone\.backbone"
    stages = tuple(rf"{source}\.dark{s}" for s in (2, 3, 4, 5))
    return _MEGVII.conv(rf"{source}\.stem\.conv", "backbone/stem") + _MEGVII.stages(stages)


def _megvii_neck(neck: nn.Module) -> list[Rule]:
    """Rules for YOLOPAFPN and the head's stems, which are this neck's last convolutions."""
    del neck
    rules = _MEGVII.conv(r"head\.stems\.(?P<i>\d+)", "neck/out_{i}")
    for theirs, ours in (
        ("lateral_conv0", "reduce_0"),
        ("reduce_conv1", "reduce_1"),
        ("bu_conv2", "shrink_0"),
        ("bu_conv1", "shrink_1"),
    ):
        rules += _MEGVII.conv(rf"backbone\.{theirs}", f"neck/{ours}")
    for theirs, ours in (
        ("C3_p4", "down_0"),
        ("C3_p3", "down_1"),
        ("C3_n3", "up_0"),
        ("C3_n4", "up_1"),
    ):
        rules += _MEGVII.layer(rf"backbone\.{theirs}", f"neck/{ours}")
    return rules


def _megvii_head(head: nn.Module) -> list[Rule]:
    """Rules for YOLOXHead of YOLOX's own code."""
    del head
    return [
        *_MEGVII.tower(r"head\.cls_convs", "class"),
        *_MEGVII.tower(r"head\.reg_convs", "box"),
        *prediction(r"head\.cls_preds", "class"),
        *prediction(r"head\.reg_preds", "box"),
        *prediction(r"head\.obj_preds", "objectness"),
    ]


_RELEASES = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"

# Size, side of the images, parameters (M), multiply-adds (G: half of the README's FLOPs, which
# count two for each), AP of boxes, first digits of the file's SHA-256.
_TABLE = (
    ("nano", 416, 0.91, 0.54, 25.8, "cd28f55f"),
    ("tiny", 416, 5.06, 3.225, 32.8, "9de513de"),
    ("s", 640, 9.0, 13.4, 40.5, ""),
    ("m", 640, 25.3, 36.9, 46.9, None),
)

YOLOX = Family(
    "yolox",
    mmpose={CSPDarknet: _mmdet_backbone},
    mmdet={CSPDarknet: _mmdet_backbone, YOLOXHead: _mmdet_head},
    formats=(
        Format(
            name="YOLOX's own code",
            marker=r"backbone\.backbone\.dark2\..+",
            head=r"head\..+|backbone\.(?!backbone\.).+",
            purpose="detection",
            tables={
                CSPDarknet: _megvii_backbone,
                PathAggregation: _megvii_neck,
                YOLOXHead: _megvii_head,
            },
        ),
    ),
    published=tuple(
        PublishedDetector(
            name=f"yolox-{size}",
            make=partial(yolox, size),
            input_hw=(side, side),
            normalisation=PIXELS_BGR,
            parameters=parameters,
            gflops=gflops,
            box_ap=ap,
            source="YOLOX's README",
            licence=APACHE,
            trained_on=("COCO",),
            golden=("yolox",) if size == "nano" else (),
            weights=None if digits is None else Weights(f"{_RELEASES}/yolox_{size}.pth", digits),
        )
        for size, side, parameters, gflops, ap, digits in _TABLE
    ),
)
