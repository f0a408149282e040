"""Stacked hourglasses."""

from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.hourglass import Hourglass
from jaxpose.models.multistage import MultiStageHead
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.skeletons import COCO17

__all__ = ["HOURGLASS", "Hourglass", "hourglass"]

# Number of hourglasses.
_HOURGLASS_SIZES = {"52": 1, "104": 2}


def hourglass(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """Stacked hourglass (Newell et al. 2016, arXiv:1603.06937) of `size` 52 or 104.

    One or two hourglasses of basic residual blocks, as in CornerNet (arXiv:1808.01244, section
    3.5) and MMPose. In training every stack has heatmaps, of a quarter of the image.
    """
    if size not in _HOURGLASS_SIZES:
        raise InputError(
            f"Unknown hourglass size {size!r}; known: {', '.join(_HOURGLASS_SIZES)}."
            f"{nearest(size, _HOURGLASS_SIZES)}"
        )
    backbone = Hourglass(_HOURGLASS_SIZES[size], dtype=dtype)
    return PoseModel(backbone, MultiStageHead(num_keypoints, dtype=dtype))


def _mmpose(model: Hourglass) -> list[Rule]:
    """Rules for HourglassNet; each level is nested in the one above as `low2`."""
    rules = [
        *layouts.conv_norm(
            r"backbone\.stem\.0\.conv", r"backbone\.stem\.0\.bn", "backbone/stem_conv"
        ),
        *layouts.residual_block(r"backbone\.stem\.1\.0", "backbone/stem_block", 2),
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
            rules += layouts.residual_block(
                rf"{level}\.{source}\.(?P<k>\d+)",
                f"backbone/hourglass_{{s}}/{target}_{depth}_block_{{k}}",
                2,
            )
        level += r"\.low2"
    return rules + layouts.residual_block(
        rf"{level}\.(?P<k>\d+)", "backbone/hourglass_{s}/innermost_block_{k}", 2
    )


def _between(model: Hourglass) -> list[Rule]:
    if model.stacks == 1:
        reason = "a block between stacks, which a model of one stack has but does not run"
        return [Rule(r"backbone\.inters\.0\..+", None, reason=reason)]
    return layouts.residual_block(r"backbone\.inters\.(?P<s>\d+)", "backbone/between_{s}", 2)


# MMPose's count includes a block between stacks, 1.18 million, that one stack does not run.
_PUBLISHED = tuple(
    PublishedPose(
        name=f"hourglass-52{suffix}",
        make=any_size(hourglass, "52"),
        codec=msra,
        skeleton=COCO17,
        input_hw=input_hw,
        parameters=94.85,
        gflops=gflops,
        score=score,
        source="MMPose 0.29, inference speed summary",
        trained_on=("COCO",),
        golden=golden,
    )
    for suffix, input_hw, gflops, score, golden in (
        ("", (256, 256), 28.67, "AP 72.6", ("hourglass52_256x256",)),
        ("-384", (384, 384), 64.5, "AP 74.6", ()),
    )
)

HOURGLASS = Family(
    "hourglass",
    mmpose={Hourglass: _mmpose},
    published=_PUBLISHED,
    unpublished=(
        PublishedPose(
            name="hourglass-104",
            make=any_size(hourglass, "104"),
            codec=msra,
            skeleton=None,
            input_hw=(256, 256),
            parameters=187.71,
        ),
    ),
)
