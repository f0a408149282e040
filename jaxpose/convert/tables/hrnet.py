"""Tables for HRNet, one function for each project's names."""

from dataclasses import replace

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.hrnet import HRNet


def mmpose(model: HRNet) -> list[Rule]:
    """MMPose's and MMPretrain's HRNet, which numbers its modules as the original code does."""
    return _whole(model, r"backbone\.")


def official(model: HRNet) -> list[Rule]:
    """HRNet's own code, for pose and for ImageNet, and timm's, which shares its names."""
    return _whole(model, "")


def _whole(model: HRNet, prefix: str) -> list[Rule]:
    rules = _branches(model, prefix)
    if model.outputs != "high":
        return rules
    stage, module = len(model.channels), model.modules[-1] - 1
    unused = rf"{prefix}stage{stage}\.{module}\.fuse_layers\.[1-9]\..+"
    reason = "the last fusion into lower resolutions, which this model does not return"
    return [replace(rule, pattern=f"(?!{unused}){rule.pattern}") for rule in rules] + [
        Rule(unused, None, reason=reason)
    ]


def _branches(model: HRNet, prefix: str) -> list[Rule]:
    rules = []
    for i in range(2):
        rules += layouts.conv_norm(
            rf"{prefix}conv{i + 1}", rf"{prefix}bn{i + 1}", f"backbone/stem_{i}"
        )
    rules += residual_block(rf"{prefix}layer1\.(?P<k>\d+)", "backbone/stage_1_block_{k}", 3)
    for s in range(2, len(model.channels) + 1):
        stage = f"backbone/stage_{s}"
        # A branch that only changes width is one convolution, a new one is a list of one.
        transition = rf"{prefix}transition{s - 1}\.(?P<b>\d+)(\.0)?"
        rules += layouts.conv_norm(
            rf"{transition}\.0", rf"{transition}\.1", stage + "_transition_{b}"
        )
        source, module = rf"{prefix}stage{s}\.(?P<m>\d+)", stage + "_module_{m}"
        rules += residual_block(
            source + r"\.branches\.(?P<b>\d+)\.(?P<k>\d+)", module + "/branch_{b}_block_{k}", 2
        )
        fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
        rules += layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", module + "/fusion/to_{i}_from_{j}")
        down = rf"{fuse}\.(?P<k>\d+)"
        rules += layouts.conv_norm(
            rf"{down}\.0", rf"{down}\.1", module + "/fusion/to_{i}_from_{j}_{k}"
        )
    return rules


def residual_block(source: str, target: str, convolutions: int) -> list[Rule]:
    """Rules for a `ResidualBlock` of two or three convolutions under torchvision's names."""
    rules = layouts.conv_norm(
        rf"{source}\.downsample\.0", rf"{source}\.downsample\.1", f"{target}/shortcut"
    )
    for i in range(convolutions):
        rules += layouts.conv_norm(
            rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}"
        )
    return rules
