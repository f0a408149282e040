"""Tables for the state dicts of MMPose 1.x: ViT and HRNet backbones, heatmap and SimCC heads."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.vit import ViT


def vit(model: ViT) -> list[Rule]:
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


def hrnet(model: HRNet) -> list[Rule]:
    """HRNet, with the numbering that MMPose shares with the original code."""
    rules = []
    for i in range(2):
        rules += layouts.conv_norm(
            rf"backbone\.conv{i + 1}", rf"backbone\.bn{i + 1}", f"backbone/stem_{i}"
        )
    rules += _residual_block(r"backbone\.layer1\.(?P<k>\d+)", "backbone/stage_1_block_{k}", 3)
    for s in range(2, len(model.channels) + 1):
        stage = f"backbone/stage_{s}"
        # A branch that only changes width is one convolution, a new one is a list of one.
        transition = rf"backbone\.transition{s - 1}\.(?P<b>\d+)(\.0)?"
        rules += layouts.conv_norm(
            rf"{transition}\.0", rf"{transition}\.1", stage + "_transition_{b}"
        )
        source, module = rf"backbone\.stage{s}\.(?P<m>\d+)", stage + "_module_{m}"
        rules += _residual_block(
            source + r"\.branches\.(?P<b>\d+)\.(?P<k>\d+)", module + "/branch_{b}_block_{k}", 2
        )
        fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
        rules += layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", module + "/fusion/to_{i}_from_{j}")
        down = rf"{fuse}\.(?P<k>\d+)"
        rules += layouts.conv_norm(
            rf"{down}\.0", rf"{down}\.1", module + "/fusion/to_{i}_from_{j}_{k}"
        )
    return rules


def _residual_block(source: str, target: str, convolutions: int) -> list[Rule]:
    rules = layouts.conv_norm(
        rf"{source}\.downsample\.0", rf"{source}\.downsample\.1", f"{target}/shortcut"
    )
    for i in range(convolutions):
        rules += layouts.conv_norm(
            rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}"
        )
    return rules


def heatmap_head(head: DeconvHead | SimpleHead) -> list[Rule]:
    """HeatmapHead: deconvolutions, if any, and a final convolution."""
    return _deconvolutions(head, r"head", "head")


def simcc_head(head: SimCCHead) -> list[Rule]:
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
