"""Tables for HRNet, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.hrnet import HRNet


def mmpose(model: HRNet) -> list[Rule]:
    """HRNet, with the numbering that MMPose shares with the original code."""
    rules = []
    for i in range(2):
        rules += layouts.conv_norm(
            rf"backbone\.conv{i + 1}", rf"backbone\.bn{i + 1}", f"backbone/stem_{i}"
        )
    rules += _residual_block(r"backbone\.layer1\.(?P<k>\d+)", "backbone/stage_1_block_{k}", 3)
    for s in range(2, len(model.channels) + 1):
        stage = f"backbone/stage_{s}"
        # A branch that only changes width is one convolution, a new one is a list of one.
        transition = rf"backbone\.transition{s - 1}\.(?P<b>\d+)(\.0)?"
        rules += layouts.conv_norm(
            rf"{transition}\.0", rf"{transition}\.1", stage + "_transition_{b}"
        )
        source, module = rf"backbone\.stage{s}\.(?P<m>\d+)", stage + "_module_{m}"
        rules += _residual_block(
            source + r"\.branches\.(?P<b>\d+)\.(?P<k>\d+)", module + "/branch_{b}_block_{k}", 2
        )
        fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
        rules += layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", module + "/fusion/to_{i}_from_{j}")
        down = rf"{fuse}\.(?P<k>\d+)"
        rules += layouts.conv_norm(
            rf"{down}\.0", rf"{down}\.1", module + "/fusion/to_{i}_from_{j}_{k}"
        )
    return rules


def _residual_block(source: str, target: str, convolutions: int) -> list[Rule]:
    rules = layouts.conv_norm(
        rf"{source}\.downsample\.0", rf"{source}\.downsample\.1", f"{target}/shortcut"
    )
    for i in range(convolutions):
        rules += layouts.conv_norm(
            rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}"
        )
    return rules
