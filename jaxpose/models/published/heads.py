"""Conversion tables of the heads that many families share, under the names of MMPose."""

from jaxpose.models import layouts
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Rule
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.multistage import MultiStageHead
from jaxpose.models.published.record import Family
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead

__all__ = [
    "HEADS",
    "ClassificationHead",
    "DeconvHead",
    "IntegralRegressionHead",
    "MultiStageHead",
    "RLEHead",
    "RegressionHead",
    "SimCCHead",
    "SimpleHead",
]

MM_RULES = (
    Rule(
        r"data_preprocessor\.(mean|std)",
        None,
        reason="images are normalised with the same constants before they reach the model",
    ),
)
"""Rules for the arrays that MMPose 1.x, MMDetection 3.x and MMPretrain save beside a model."""

# In MMPose 0.x the last of several convolutions was the last entry of a sequence; in 1.x it has a
# separate name.
KEYPOINT_HEAD = (
    (r"^keypoint_head\.final_layer\.([01])\.", r"head.conv_layers.\1."),
    (r"^keypoint_head\.final_layer\.3\.", r"head.final_layer."),
    (r"^keypoint_head\.loss\.", r"head.loss_module."),
    (r"^keypoint_head\.", r"head."),
)
"""Patterns for names of the head in MMPose 0.x and the official ViTPose, with MMPose 1.x's."""


def mmpose_heatmap(head: DeconvHead | SimpleHead) -> list[Rule]:
    """Rules for HeatmapHead: deconvolutions and convolutions, if any, and a final convolution."""
    return heatmaps(head, r"head\.", "head")


def _mmpose_simcc(head: SimCCHead) -> list[Rule]:
    """Rules for SimCCHead; deconvolutions and their 1x1 convolution are in a `deconv_head`."""
    source = r"head\.deconv_head\." if head.deconv_channels else r"head\."
    rules = heatmaps(head, source, "head/maps")
    for axis in ("x", "y"):
        rules += [
            Rule(rf"head\.mlp_head_{axis}\.weight", f"params/head/{axis}_kernel", layouts.linear),
            Rule(rf"head\.mlp_head_{axis}\.bias", f"params/head/{axis}_bias"),
        ]
    return rules


def _mmpose_multistage(head: MultiStageHead) -> list[Rule]:
    """Rules for CPMHead: for each stage deconvolutions, if any, and a final convolution."""
    stage = r"(?P<stage>\d+)"
    return [
        *_final(rf"head\.multi_final_layers\.{stage}", "head/stage_{stage}"),
        *_layers(head, rf"head\.multi_deconv_layers\.{stage}", "head/stage_{stage}"),
    ]


def heatmaps(head: DeconvHead | SimpleHead | SimCCHead, source: str, target: str) -> list[Rule]:
    """Rules for deconvolutions, convolutions and the final convolution under a prefix."""
    rules = _final(rf"{source}final_layer", target)
    if isinstance(head, DeconvHead | SimCCHead):
        rules += _layers(head, rf"{source}deconv_layers", target)
    for i in range(len(head.conv_channels) if isinstance(head, DeconvHead) else 0):
        layers, name = rf"{source}conv_layers", f"{target}/conv_{i}"
        if isinstance(head, DeconvHead) and head.instance_norm:
            rules += layouts.dense(rf"{layers}\.{3 * i}", name, kernel=layouts.conv)
            continue
        rules += [
            Rule(rf"{layers}\.{3 * i}\.weight", f"params/{name}/conv/kernel", layouts.conv),
            layouts.folded_norm(rf"{layers}\.{3 * i}", f"{name}/conv"),
            *layouts.batch_norm(rf"{layers}\.{3 * i + 1}", f"{name}/norm"),
        ]
    return rules


def _final(source: str, target: str) -> list[Rule]:
    return layouts.dense(source, f"{target}/final", kernel=layouts.conv)


def _layers(head: DeconvHead | SimCCHead | MultiStageHead, layers: str, target: str) -> list[Rule]:
    rules = []
    groups = head.deconv_groups if isinstance(head, DeconvHead) else 1
    layout = layouts.deconv if groups == 1 else layouts.grouped_deconv(groups)
    for i in range(len(head.deconv_channels)):
        # The source has three modules per deconvolution: itself, its norm, its ReLU.
        deconv, norm = rf"{layers}\.{3 * i}", f"{target}/norm_{i}"
        rules += [
            Rule(rf"{deconv}\.weight", f"params/{target}/deconv_{i}/kernel", layout),
            layouts.folded_norm(deconv, norm),
            *layouts.batch_norm(rf"{layers}\.{3 * i + 1}", norm),
        ]
    return rules


def _mmpose_regression(head: RegressionHead) -> list[Rule]:
    """Rules for RegressionHead: one linear layer."""
    return layouts.dense(r"head\.fc", "head/linear")


def _mmpose_rle(head: RLEHead) -> list[Rule]:
    """Rules for RLEHead: one linear layer, and the flow, which the source keeps in the loss."""
    flow = r"head\.loss(_module)?\.flow_model"
    rules = [
        *layouts.dense(r"head\.fc", "head/linear"),
        Rule(
            rf"{flow}\.(loc|cov|mask)",
            None,
            reason="constants: the standard normal and the order of the coupling layers",
        ),
    ]
    for network, target in (("s", "scale"), ("t", "translate")):
        for i in range(3):
            # The source has two modules per layer: itself and its activation.
            layer = rf"{flow}\.{network}\.(?P<layer>\d+)\.{2 * i}"
            path = f"params/head/flow/{target}"
            rules += [
                Rule(rf"{layer}\.weight", f"{path}_kernel_{i}", layouts.linear, stack="layer"),
                Rule(rf"{layer}\.bias", f"{path}_bias_{i}", stack="layer"),
            ]
    return rules


def _mmpose_integral(head: IntegralRegressionHead) -> list[Rule]:
    """Rules for IntegralRegressionHead and DSNTHead.

    Deconvolutions, if any, are in a `simplebaseline_head`.
    """
    source = r"head\.simplebaseline_head\." if head.deconv_channels else r"head\."
    return [
        *heatmaps(DeconvHead(head.num_keypoints, head.deconv_channels), source, "head/maps"),
        Rule(r"head\.linspace_[xy]", None, reason="constants: the positions of the map's pixels"),
    ]


def mmpretrain_linear(head: ClassificationHead) -> list[Rule]:
    """Rules for MMPretrain's classifiers: `fc`, or a sequence of one layer, as for ImageNet."""
    return layouts.dense(r"head\.(fc|layers\.head)", "head/linear")


HEADS = Family(
    "heads",
    mmpose={
        DeconvHead: mmpose_heatmap,
        SimpleHead: mmpose_heatmap,
        SimCCHead: _mmpose_simcc,
        MultiStageHead: _mmpose_multistage,
        RegressionHead: _mmpose_regression,
        RLEHead: _mmpose_rle,
        IntegralRegressionHead: _mmpose_integral,
        ClassificationHead: mmpretrain_linear,
    },
)
