"""Table for the stacked hourglass."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.convert.tables.hrnet import residual_block
from jaxpose.models.hourglass import Hourglass


def mmpose(model: Hourglass) -> list[Rule]:
    """HourglassNet, whose levels are nested in one another as `low2`."""
    rules = [
        *layouts.conv_norm(
            r"backbone\.stem\.0\.conv", r"backbone\.stem\.0\.bn", "backbone/stem_conv"
        ),
        *residual_block(r"backbone\.stem\.1\.0", "backbone/stem_block", 2),
        *_between(model),
    ]
    for source, target in (
        ("out_convs", "output"),
        ("conv1x1s", "input_again"),
        ("remap_convs", "output_again"),
    ):
        layer = rf"backbone\.{source}\.(?P<s>\d+)"
        rules += layouts.conv_norm(rf"{layer}\.conv", rf"{layer}\.bn", f"backbone/{target}_{{s}}")
    level = r"backbone\.hourglass_modules\.(?P<s>\d+)"
    for depth in range(len(model.channels) - 1):
        for source, target in (("up1", "up"), ("low1", "down"), ("low3", "back")):
            rules += residual_block(
                rf"{level}\.{source}\.(?P<k>\d+)",
                f"backbone/hourglass_{{s}}/{target}_{depth}_block_{{k}}",
                2,
            )
        level += r"\.low2"
    return rules + residual_block(
        rf"{level}\.(?P<k>\d+)", "backbone/hourglass_{s}/innermost_block_{k}", 2
    )


def _between(model: Hourglass) -> list[Rule]:
    if model.stacks == 1:
        reason = "a block between stacks, which a single stack has but does not run"
        return [Rule(r"backbone\.inters\.0\..+", None, reason=reason)]
    return residual_block(r"backbone\.inters\.(?P<s>\d+)", "backbone/between_{s}", 2)
