"""Tables for heads, one function for each kind and each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.multistage import MultiStageHead


def mmpose_heatmap(head: DeconvHead | SimpleHead) -> list[Rule]:
    """HeatmapHead: deconvolutions and convolutions, if any, and a final convolution."""
    return heatmaps(head, r"head\.", "head")


def official_heatmap(head: DeconvHead) -> list[Rule]:
    """The head of HRNet's own code, whose layers stand beside those of the backbone."""
    return heatmaps(head, "", "head")


def mmpose_simcc(head: SimCCHead) -> list[Rule]:
    """SimCCHead: with deconvolutions, these and the 1x1 convolution sit in a `deconv_head`."""
    source = r"head\.deconv_head\." if head.deconv_channels else r"head\."
    rules = heatmaps(head, source, "head/maps")
    for axis in ("x", "y"):
        rules += [
            Rule(rf"head\.mlp_head_{axis}\.weight", f"params/head/{axis}_kernel", layouts.linear),
            Rule(rf"head\.mlp_head_{axis}\.bias", f"params/head/{axis}_bias"),
        ]
    return rules


def mmpose_multistage(head: MultiStageHead) -> list[Rule]:
    """CPMHead: for each stage a final convolution, and deconvolutions if any."""
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
    for i in range(len(head.deconv_channels)):
        # Three modules per deconvolution in the source: itself, its norm, its ReLU.
        deconv, norm = rf"{layers}\.{3 * i}", f"{target}/norm_{i}"
        rules += [
            Rule(rf"{deconv}\.weight", f"params/{target}/deconv_{i}/kernel", layouts.deconv),
            layouts.folded_norm(deconv, norm),
            *layouts.batch_norm(rf"{layers}\.{3 * i + 1}", norm),
        ]
    return rules
