"""Tables for CSPNeXt, one function for each project's names."""

from jaxpose.convert.rules import Rule
from jaxpose.convert.tables.csp import MM
from jaxpose.models.cspnext import CSPNeXt


def mmpose(model: CSPNeXt) -> list[Rule]:
    """CSPNeXt, with the names that MMPose, MMDetection and MMPretrain share."""
    names = MM["cspnext"]
    stages = tuple(rf"backbone\.stage{s}" for s in range(1, max(model.outputs) + 1))
    stem = names.conv(r"backbone\.stem\.(?P<i>\d+)", "backbone/stem_{i}")
    return stem + names.stages(stages)
