"""Tables for heads that give coordinates, one function for each kind and each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.convert.tables.heads import heatmaps
from jaxpose.models.heads import DeconvHead
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead


def mmpose_regression(head: RegressionHead) -> list[Rule]:
    """RegressionHead: one linear layer."""
    return layouts.dense(r"head\.fc", "head/linear")


def mmpose_rle(head: RLEHead) -> list[Rule]:
    """RLEHead: one linear layer, and the flow, which the source keeps in the loss."""
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
            # Two modules per layer in the source: itself and its activation.
            layer = rf"{flow}\.{network}\.(?P<layer>\d+)\.{2 * i}"
            path = f"params/head/flow/{target}"
            rules += [
                Rule(rf"{layer}\.weight", f"{path}_kernel_{i}", layouts.linear, stack="layer"),
                Rule(rf"{layer}\.bias", f"{path}_bias_{i}", stack="layer"),
            ]
    return rules


def mmpose_integral(head: IntegralRegressionHead) -> list[Rule]:
    """IntegralRegressionHead and DSNTHead: deconvolutions, if any, in a `simplebaseline_head`."""
    source = r"head\.simplebaseline_head\." if head.deconv_channels else r"head\."
    return [
        *heatmaps(DeconvHead(head.num_keypoints, head.deconv_channels), source, "head/maps"),
        Rule(r"head\.linspace_[xy]", None, reason="constants: the positions of the map's pixels"),
    ]
