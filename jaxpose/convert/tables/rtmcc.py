"""Tables for RTMPose's head, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.rtmcc import RTMCCHead


def mmpose(head: RTMCCHead) -> list[Rule]:
    """RTMCCHead."""
    del head  # the keys are the same for every configuration
    linear = {
        r"mlp\.1": "tokens",
        r"gau\.uv": "attention/gate_value_key",
        r"gau\.o": "attention/out",
        "cls_x": "x",
        "cls_y": "y",
    }
    arrays = {
        r"mlp\.0\.g": "norm/scale",
        r"gau\.ln\.g": "attention/norm/scale",
        r"gau\.gamma": "attention/gain",
        r"gau\.beta": "attention/offset",
        r"gau\.res_scale\.scale": "attention/residual_scale",
    }
    return [
        *layouts.dense(r"head\.final_layer", "head/maps", kernel=layouts.conv),
        *(
            Rule(rf"head\.{source}\.weight", f"params/head/{target}/kernel", layouts.linear)
            for source, target in linear.items()
        ),
        *(Rule(rf"head\.{source}", f"params/head/{target}") for source, target in arrays.items()),
    ]
