"""Tables for vision transformers, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.vit import ViT


def mmpose(model: ViT) -> list[Rule]:
    """MMPretrain's VisionTransformer without a class token (`out_type="featmap"`)."""
    layer, block = r"backbone\.layers\.(?P<layer>\d+)", "backbone/blocks"
    heads = model.heads
    return [
        Rule(r"backbone\.pos_embed", "params/backbone/position_embedding", lambda x: x.squeeze(0)),
        *layouts.dense(
            r"backbone\.patch_embed\.projection",
            "backbone/patch_embed/projection",
            kernel=layouts.patches,
        ),
        *layouts.layer_norm(rf"{layer}\.ln1", f"{block}/norm1", "layer"),
        *layouts.layer_norm(rf"{layer}\.ln2", f"{block}/norm2", "layer"),
        *layouts.dense(
            rf"{layer}\.attn\.qkv",
            f"{block}/attention/qkv",
            "layer",
            layouts.fused_qkv(heads),
            layouts.fused_qkv_bias(heads),
        ),
        *layouts.dense(
            rf"{layer}\.attn\.proj",
            f"{block}/attention/out",
            "layer",
            layouts.attention_out(heads),
        ),
        *layouts.dense(rf"{layer}\.ffn\.layers\.0\.0", f"{block}/mlp/fc1", "layer"),
        *layouts.dense(rf"{layer}\.ffn\.layers\.1", f"{block}/mlp/fc2", "layer"),
        *layouts.layer_norm(r"backbone\.ln1", "backbone/norm"),
    ]
