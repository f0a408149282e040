"""Conversion tables that CSPNeXt, CSPDarknet and the detectors with these backbones share."""

from dataclasses import dataclass

from jaxpose.models import layouts
from jaxpose.models.conversion import Rule
from jaxpose.models.csp import LAST_STAGE, BlockKind
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.darknet import NORM_EPSILON
from jaxpose.models.detection import PathAggregation
from jaxpose.models.published.record import Family

__all__ = ["CSP", "CSPNeXt"]


@dataclass(frozen=True)
class Names:
    """Names that a project gives the parts of a CSP network.

    Attributes:
      depthwise, pointwise: the two parts of a separable convolution.
      main, short, final: the convolutions of a CSP layer.
      blocks: the list of blocks of a CSP layer.
      kernels: pairs of the project's name and this library's for each convolution of a block.
      epsilon: epsilon of the batch norms.
    """

    depthwise: str
    pointwise: str
    main: str
    short: str
    final: str
    blocks: str
    kernels: tuple[tuple[str, str], ...]
    epsilon: float

    def conv(self, source: str, target: str) -> list[Rule]:
        """Rules for a convolution with its norm, or its separable form."""
        rules = []
        for theirs, ours in (
            ("", ""),
            (rf"\.{self.depthwise}", "/depthwise"),
            (rf"\.{self.pointwise}", "/pointwise"),
        ):
            name = source + theirs
            rules += layouts.conv_norm(
                rf"{name}\.conv", rf"{name}\.bn", target + ours, self.epsilon
            )
        return rules

    def layer(self, source: str, target: str) -> list[Rule]:
        """Rules for a cross-stage partial layer, with or without attention."""
        rules = layouts.dense(
            rf"{source}\.attention\.fc", f"{target}/attention/fc", kernel=layouts.conv
        )
        for theirs, ours in ((self.main, "main"), (self.short, "short"), (self.final, "final")):
            rules += self.conv(rf"{source}\.{theirs}", f"{target}/{ours}")
        block = rf"{source}\.{self.blocks}\.(?P<k>\d+)"
        for theirs, ours in self.kernels:
            rules += self.conv(rf"{block}\.{theirs}", target + "/block_{k}/" + ours)
        return rules

    def stages(self, source: tuple[str, ...]) -> list[Rule]:
        """Rules for the stages of a backbone; `source` has their names in order."""
        rules = []
        for s, name in enumerate(source, start=1):
            target, last = f"backbone/stage_{s}", s == LAST_STAGE
            rules += self.conv(rf"{name}\.0", f"{target}_down")
            if last:
                rules += self.conv(rf"{name}\.1\.conv1", f"{target}_pyramid/reduce")
                rules += self.conv(rf"{name}\.1\.conv2", f"{target}_pyramid/merge")
            rules += self.layer(rf"{name}\.{2 if last else 1}", f"{target}_csp")
        return rules

    def tower(self, source: str, target: str) -> list[Rule]:
        """Rules for a head's convolutions, which are separate for each level."""
        return self.conv(
            rf"{source}\.(?P<i>\d+)\.(?P<j>\d+)", f"head/{target}_tower/conv_{{i}}_{{j}}"
        )


def prediction(source: str, target: str) -> list[Rule]:
    """Rules for the last convolutions of a head, one for each level."""
    return layouts.dense(rf"{source}\.(?P<i>\d+)", f"head/{target}_{{i}}", kernel=layouts.conv)


def _mm(kernels: tuple[tuple[str, str], ...], epsilon: float) -> Names:
    return Names(
        "depthwise_conv",
        "pointwise_conv",
        "main_conv",
        "short_conv",
        "final_conv",
        "blocks",
        kernels,
        epsilon,
    )


YOLOX_KERNELS = (("conv1", "reduce"), ("conv2", "conv"))
MM: dict[BlockKind, Names] = {
    "cspnext": _mm(
        (
            ("conv1", "conv"),
            (r"conv2\.depthwise_conv", "depthwise"),
            (r"conv2\.pointwise_conv", "pointwise"),
        ),
        1e-5,
    ),
    "darknet": _mm(YOLOX_KERNELS, NORM_EPSILON),
}
"""Names of MMDetection, MMPose and MMPretrain by the kind of blocks."""


def _mmdet_neck(neck: PathAggregation) -> list[Rule]:
    """Rules for YOLOXPAFPN and CSPNeXtPAFPN."""
    names = MM[neck.kind]
    rules = names.conv(r"neck\.out_convs\.(?P<i>\d+)", "neck/out_{i}")
    for theirs, ours in (("reduce_layers", "reduce"), ("downsamples", "shrink")):
        rules += names.conv(rf"neck\.{theirs}\.(?P<i>\d+)", f"neck/{ours}_{{i}}")
    for theirs, ours in (("top_down_blocks", "down"), ("bottom_up_blocks", "up")):
        rules += names.layer(rf"neck\.{theirs}\.(?P<i>\d+)", f"neck/{ours}_{{i}}")
    return rules


def _cspnext(model: CSPNeXt) -> list[Rule]:
    """Rules for CSPNeXt, with the names that MMPose, MMDetection and MMPretrain share."""
    names = MM["cspnext"]
    stages = tuple(rf"backbone\.stage{s}" for s in range(1, max(model.outputs) + 1))
    stem = names.conv(r"backbone\.stem\.(?P<i>\d+)", "backbone/stem_{i}")
    return stem + names.stages(stages)


CSP = Family(
    "csp",
    mmpose={CSPNeXt: _cspnext, PathAggregation: _mmdet_neck},
    mmdet={CSPNeXt: _cspnext, PathAggregation: _mmdet_neck},
)
