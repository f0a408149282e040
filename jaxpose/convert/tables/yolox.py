"""Tables for YOLOX, one function for each part and each project's names."""

import flax.linen as nn

from jaxpose.convert.rules import Rule
from jaxpose.convert.tables import csp
from jaxpose.models.darknet import NORM_EPSILON

_MM = csp.MM["darknet"]
_MEGVII = csp.Names(
    "dconv", "pconv", "conv1", "conv2", "conv3", "m", csp.YOLOX_KERNELS, NORM_EPSILON
)

# The names of every size are the same, so none of the tables looks at the module.


def mmdet_backbone(backbone: nn.Module) -> list[Rule]:
    """CSPDarknet of MMDetection."""
    del backbone
    stages = tuple(rf"backbone\.stage{s}" for s in (1, 2, 3, 4))
    return _MM.conv(r"backbone\.stem\.conv", "backbone/stem") + _MM.stages(stages)


def mmdet_head(head: nn.Module) -> list[Rule]:
    """YOLOXHead of MMDetection."""
    del head
    source = r"bbox_head\.multi_level_"
    return [
        *_MM.tower(f"{source}cls_convs", "class"),
        *_MM.tower(f"{source}reg_convs", "box"),
        *csp.prediction(f"{source}conv_cls", "class"),
        *csp.prediction(f"{source}conv_reg", "box"),
        *csp.prediction(f"{source}conv_obj", "objectness"),
    ]


def megvii_backbone(backbone: nn.Module) -> list[Rule]:
    """CSPDarknet of YOLOX's own code."""
    del backbone
    source = r"backbone\.backbone"
    stages = tuple(rf"{source}\.dark{s}" for s in (2, 3, 4, 5))
    return _MEGVII.conv(rf"{source}\.stem\.conv", "backbone/stem") + _MEGVII.stages(stages)


def megvii_neck(neck: nn.Module) -> list[Rule]:
    """YOLOPAFPN, with the head's stems, which are our neck's last convolutions."""
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


def megvii_head(head: nn.Module) -> list[Rule]:
    """YOLOXHead of YOLOX's own code."""
    del head
    return [
        *_MEGVII.tower(r"head\.cls_convs", "class"),
        *_MEGVII.tower(r"head\.reg_convs", "box"),
        *csp.prediction(r"head\.cls_preds", "class"),
        *csp.prediction(r"head\.reg_preds", "box"),
        *csp.prediction(r"head\.obj_preds", "objectness"),
    ]
