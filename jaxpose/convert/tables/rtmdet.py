"""The table for RTMDet's head, with MMDetection's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.convert.tables import csp
from jaxpose.models.detection import RTMDetHead


def mmdet_head(head: RTMDetHead) -> list[Rule]:
    """RTMDetSepBNHead."""
    rules = csp.prediction(r"bbox_head\.rtm_cls", "class")
    rules += csp.prediction(r"bbox_head\.rtm_reg", "box")
    tower = _shared_tower if head.shared else csp.MM["cspnext"].tower
    rules += tower(r"bbox_head\.cls_convs", "class")
    rules += tower(r"bbox_head\.reg_convs", "box")
    return rules


def _shared_tower(source: str, target: str) -> list[Rule]:
    """Convolutions that a checkpoint repeats for every level, and each level's norms."""
    tower, place = f"head/{target}_tower", rf"{source}\.(?P<i>\d+)\.(?P<j>\d+)"
    kernel = Rule(
        rf"{place}\.conv\.weight", f"params/{tower}/conv_{{j}}/kernel", layouts.conv, copies=True
    )
    return [kernel, *layouts.batch_norm(rf"{place}\.bn", f"{tower}/norm_{{i}}_{{j}}")]
