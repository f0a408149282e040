"""Tables for CSPNeXt, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.cspnext import CSPNeXt

# Where a stage keeps its parts: the last has the pyramid between convolution and blocks.
_LAST_STAGE = 4


def mmpose(model: CSPNeXt) -> list[Rule]:
    """CSPNeXt, with the names that MMPose, MMDetection and MMPretrain share."""
    rules = _module(r"backbone\.stem\.(?P<i>\d+)", "backbone/stem_{i}")
    for s in range(1, max(model.outputs) + 1):
        source, target = rf"backbone\.stage{s}", f"backbone/stage_{s}"
        rules += _module(rf"{source}\.0", f"{target}_down")
        if s == _LAST_STAGE:
            rules += _module(rf"{source}\.1\.conv1", f"{target}_pyramid/reduce")
            rules += _module(rf"{source}\.1\.conv2", f"{target}_pyramid/merge")
        rules += csp_layer(rf"{source}\.{2 if s == _LAST_STAGE else 1}", f"{target}_csp")
    return rules


def csp_layer(source: str, target: str) -> list[Rule]:
    """One cross-stage partial layer, with or without attention."""
    rules = [
        *_module(rf"{source}\.(?P<part>main|short|final)_conv", target + "/{part}"),
        *layouts.dense(rf"{source}\.attention\.fc", f"{target}/attention/fc", kernel=layouts.conv),
    ]
    block_source, block_target = rf"{source}\.blocks\.(?P<k>\d+)", target + "/block_{k}"
    for name, part in (
        ("conv1", "conv"),
        (r"conv2\.depthwise_conv", "depthwise"),
        (r"conv2\.pointwise_conv", "pointwise"),
    ):
        rules += _module(rf"{block_source}\.{name}", f"{block_target}/{part}")
    return rules


def _module(source: str, target: str) -> list[Rule]:
    return layouts.conv_norm(rf"{source}\.conv", rf"{source}\.bn", target)
