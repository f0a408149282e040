"""Table for Lite-HRNet, whose own code and MMPose share their names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.litehrnet import LiteHRNet


def mmpose(model: LiteHRNet) -> list[Rule]:
    """LiteHRNet with weighting or with shuffle blocks."""
    stem = r"backbone\.stem"
    return [
        *_conv_module(rf"{stem}\.conv1", "backbone/stem/conv"),
        *_conv_module(rf"{stem}\.expand_conv", "backbone/stem/expand"),
        *_separable((rf"{stem}\.branch1\.0", rf"{stem}\.branch1\.1"), "backbone/stem/first_half"),
        *_separable(
            (rf"{stem}\.depthwise_conv", rf"{stem}\.linear_conv"), "backbone/stem/second_half"
        ),
        # A branch that only changes width is one layer, a new one is a list of one.
        *_sequence(
            r"backbone\.transition(?P<s>\d+)\.(?P<b>\d+)(\.0)?", "backbone/stage_{s}_transition_{b}"
        ),
        *_module(r"backbone\.stage(?P<s>\d+)\.(?P<m>\d+)", "backbone/stage_{s}_module_{m}", model),
        *_merge(model),
    ]


def _module(source: str, target: str, model: LiteHRNet) -> list[Rule]:
    fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
    rules = [
        *layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", target + "/fusion/to_{i}_from_{j}"),
        *_sequence(fuse + r"\.(?P<k>\d+)", target + "/fusion/to_{i}_from_{j}_{k}"),
    ]
    if model.block == "shuffle":
        block = source + r"\.layers\.(?P<b>\d+)\.(?P<k>\d+)\.branch2"
        name = target + "/branch_{b}_block_{k}"
        return [
            *rules,
            *_conv_module(rf"{block}\.0", f"{name}/expand"),
            *_separable((rf"{block}\.1", rf"{block}\.2"), f"{name}/separable"),
        ]
    block, name = source + r"\.layers\.(?P<k>\d+)", target + "/block_{k}"
    rules += _conv_module(block + r"\.depthwise_convs\.(?P<b>\d+)", name + "/depthwise_{b}")
    for i, part in enumerate(("squeeze", "excite"), start=1):
        cross = rf"{block}\.cross_resolution_weighting\.conv{i}"
        spatial = block + rf"\.spatial_weighting\.(?P<b>\d+)\.conv{i}\.conv"
        rules += _conv_module(cross, f"{name}/cross_resolution/{part}")
        rules += layouts.dense(
            spatial, name + "/spatial_{b}/" + part, kernel=lambda w: layouts.conv(w)[0, 0]
        )
    return rules


def _merge(model: LiteHRNet) -> list[Rule]:
    rules = []
    for i in range(len(model.channels)):  # from the lowest resolution up
        project = rf"backbone\.head_layer\.projects\.{i}"
        rules += _separable(
            (rf"{project}\.depthwise_conv", rf"{project}\.pointwise_conv"),
            f"backbone/merge_{len(model.channels) - 1 - i}",
        )
    return rules


def _conv_module(source: str, target: str) -> list[Rule]:
    return layouts.conv_norm(rf"{source}\.conv", rf"{source}\.bn", target)


def _separable(sources: tuple[str, str], target: str) -> list[Rule]:
    """A depthwise and a 1x1 convolution, each a module of its own in the source."""
    return [
        *_conv_module(sources[0], f"{target}/depthwise"),
        *_conv_module(sources[1], f"{target}/pointwise"),
    ]


def _sequence(source: str, target: str) -> list[Rule]:
    """A depthwise and a 1x1 convolution with their norms, numbered in one sequence."""
    return [
        *layouts.conv_norm(rf"{source}\.0", rf"{source}\.1", f"{target}/depthwise"),
        *layouts.conv_norm(rf"{source}\.2", rf"{source}\.3", f"{target}/pointwise"),
    ]
