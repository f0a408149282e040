"""Tables for heads, one function for each kind and each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead


def mmpose_heatmap(head: DeconvHead | SimpleHead) -> list[Rule]:
    """HeatmapHead: deconvolutions, if any, and a final convolution."""
    return _deconvolutions(head, r"head", "head")


def mmpose_simcc(head: SimCCHead) -> list[Rule]:
    """SimCCHead: with deconvolutions, these and the 1x1 convolution sit in a `deconv_head`."""
    source = r"head\.deconv_head" if head.deconv_channels else r"head"
    rules = _deconvolutions(head, source, "head/maps")
    for axis in ("x", "y"):
        rules += [
            Rule(rf"head\.mlp_head_{axis}\.weight", f"params/head/{axis}_kernel", layouts.linear),
            Rule(rf"head\.mlp_head_{axis}\.bias", f"params/head/{axis}_bias"),
        ]
    return rules


def _deconvolutions(
    head: DeconvHead | SimpleHead | SimCCHead, source: str, target: str
) -> list[Rule]:
    rules = layouts.dense(rf"{source}\.final_layer", f"{target}/final", kernel=layouts.conv)
    for i in range(len(getattr(head, "deconv_channels", ()))):
        # Three modules per deconvolution in the source: itself, its norm, its ReLU.
        layers = rf"{source}\.deconv_layers"
        rules += [
            Rule(
                rf"{layers}\.{3 * i}\.weight",
                f"params/{target}/deconv_{i}/kernel",
                layouts.deconv,
            ),
            *layouts.batch_norm(rf"{layers}\.{3 * i + 1}", f"{target}/norm_{i}"),
        ]
    return rules
