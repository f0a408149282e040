"""Conversion tables of vision transformers, one function for each project's names."""

from typing import NamedTuple

from jaxpose.models import layouts
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead, SimpleHead
from jaxpose.models.published.heads import (
    KEYPOINT_HEAD,
    MM_RULES,
    mmpose_heatmap,
    mmpretrain_linear,
)
from jaxpose.models.vit import ViT


class _Names(NamedTuple):
    """Regular expressions for a project's names; those from `norm1` on are within a layer."""

    positions: str
    class_token: str
    patches: str
    layer: str
    norm: str
    norm1: str
    norm2: str
    out: str
    fc1: str
    fc2: str
    qkv_weight: str = r"attn\.qkv\.weight"
    qkv_bias: str = r"attn\.qkv\.bias"


def mmpose(model: ViT) -> list[Rule]:
    """Rules for MMPretrain's VisionTransformer, which MMPose uses, too."""
    names = _Names(
        positions=r"backbone\.pos_embed",
        class_token=r"backbone\.cls_token",
        patches=r"backbone\.patch_embed\.projection",
        layer=r"backbone\.layers\.",
        norm=r"backbone\.ln1",
        norm1="ln1",
        norm2="ln2",
        out=r"attn\.proj",
        fc1=r"ffn\.layers\.0\.0",
        fc2=r"ffn\.layers\.1",
    )
    return [*_outside(model, names), *_inside(model, names), *_fused_qkv(model, names)]


def _official(model: ViT) -> list[Rule]:
    """Rules for the authors' code of ViTPose and ViTPose++."""
    names = _timm_names(r"backbone\.", r"backbone\.last_norm")
    return [
        *_outside(model, names),
        *_inside(model, names),
        *_fused_qkv(model, names),
        *_experts(model, names),
    ]


def _timm(model: ViT) -> list[Rule]:
    """Rules for timm's VisionTransformer and a masked autoencoder's encoder (arXiv:2111.06377)."""
    names = _timm_names("", "norm")
    return [*_outside(model, names), *_inside(model, names), *_fused_qkv(model, names)]


def _torchvision(model: ViT) -> list[Rule]:
    """Rules for torchvision's VisionTransformer.

    The MLP's layers have other names in its weight files than in its code. Attention is PyTorch's,
    with the three projections in one.
    """
    names = _Names(
        positions=r"encoder\.pos_embedding",
        class_token="class_token",
        patches="conv_proj",
        layer=r"encoder\.layers\.encoder_layer_",
        norm=r"encoder\.ln",
        norm1="ln_1",
        norm2="ln_2",
        out=r"self_attention\.out_proj",
        fc1=r"mlp\.(0|linear_1)",
        fc2=r"mlp\.(3|linear_2)",
        qkv_weight=r"self_attention\.in_proj_weight",
        qkv_bias=r"self_attention\.in_proj_bias",
    )
    return [*_outside(model, names), *_inside(model, names), *_fused_qkv(model, names)]


def _hugging_face(model: ViT) -> list[Rule]:
    """Rules for Hugging Face's VitPose and VitPose++, which separate query, key and value."""
    names = _Names(
        positions=r"backbone\.embeddings\.position_embeddings",
        class_token=r"backbone\.embeddings\.cls_token",
        patches=r"backbone\.embeddings\.patch_embeddings\.projection",
        layer=r"backbone\.encoder\.layer\.",
        norm=r"backbone\.layernorm",
        norm1="layernorm_before",
        norm2="layernorm_after",
        out=r"attention\.output\.dense",
        fc1=r"mlp\.fc1",
        fc2=r"mlp\.fc2",
    )
    order = ("query", "key", "value")
    source = rf"{_layer(names)}\.attention\.attention\.(?P<part>{'|'.join(order)})"
    target = "params/backbone/blocks/attention/qkv"
    heads = model.heads
    return [
        *_outside(model, names),
        *_inside(model, names),
        *_experts(model, names),
        Rule(
            rf"{source}\.weight",
            f"{target}/kernel",
            lambda weight: weight.transpose(1, 0).reshape(weight.shape[1], 1, heads, -1),
            "layer",
            join="part",
            join_order=order,
            join_axis=1,
        ),
        Rule(
            rf"{source}\.bias",
            f"{target}/bias",
            lambda bias: bias.reshape(1, heads, -1),
            "layer",
            join="part",
            join_order=order,
        ),
    ]


def _timm_names(prefix: str, norm: str) -> _Names:
    return _Names(
        positions=rf"{prefix}pos_embed",
        class_token=rf"{prefix}cls_token",
        patches=rf"{prefix}patch_embed\.proj",
        layer=rf"{prefix}blocks\.",
        norm=norm,
        norm1="norm1",
        norm2="norm2",
        out=r"attn\.proj",
        fc1=r"mlp\.fc1",
        fc2=r"mlp\.fc2",
    )


def _layer(names: _Names) -> str:
    return rf"{names.layer}(?P<layer>\d+)"


def _outside(model: ViT, names: _Names) -> list[Rule]:
    """Rules for all parts before and after the layers."""
    token = Rule(names.class_token, None, reason="this ViT has no class token, only patches")
    if model.class_token:
        token = Rule(names.class_token, "params/backbone/class_token", lambda x: x.reshape(-1))
    return [
        token,
        *_teachers(model, names),
        Rule(names.positions, "params/backbone/position_embedding", lambda x: x.squeeze(0)),
        *layouts.dense(names.patches, "backbone/patch_embed/projection", kernel=layouts.patches),
        *layouts.layer_norm(names.norm, "backbone/norm"),
    ]


def _teachers(model: ViT, names: _Names) -> list[Rule]:
    """Rule that drops the teacher token of a distilled DeiT (arXiv:2012.12877).

    `jaxpose.convert` removes the token's position embedding.
    """
    if model.class_token or "cls_token" not in names.class_token:
        return []
    pattern = names.class_token.replace("cls_token", "dist_token")
    return [Rule(pattern, None, reason="a distilled DeiT's token, which only its classifier uses")]


def _inside(model: ViT, names: _Names) -> list[Rule]:
    """Rules for the layers, except their queries, keys and values, and their experts."""
    layer, block = _layer(names), "backbone/blocks"
    return [
        *layouts.layer_norm(rf"{layer}\.{names.norm1}", f"{block}/norm1", "layer"),
        *layouts.layer_norm(rf"{layer}\.{names.norm2}", f"{block}/norm2", "layer"),
        *layouts.dense(
            rf"{layer}\.{names.out}",
            f"{block}/attention/out",
            "layer",
            layouts.attention_out(model.heads),
        ),
        *layouts.dense(rf"{layer}\.{names.fc1}", f"{block}/mlp/fc1", "layer"),
        *layouts.dense(rf"{layer}\.{names.fc2}", f"{block}/mlp/fc2", "layer"),
    ]


def _fused_qkv(model: ViT, names: _Names) -> list[Rule]:
    layer, target = _layer(names), "params/backbone/blocks/attention/qkv"
    weight, bias = layouts.fused_qkv(model.heads), layouts.fused_qkv_bias(model.heads)
    return [
        Rule(rf"{layer}\.{names.qkv_weight}", f"{target}/kernel", weight, "layer"),
        Rule(rf"{layer}\.{names.qkv_bias}", f"{target}/bias", bias, "layer"),
    ]


def _experts(model: ViT, names: _Names) -> list[Rule]:
    """Rules for the weights of each dataset's expert, joined on a leading axis."""
    source = rf"{_layer(names)}\.mlp\.experts\.(?P<expert>\d+)"
    target, order = "params/backbone/blocks/mlp/experts", tuple(map(str, range(model.experts)))
    if not order:
        return []
    return [
        Rule(
            rf"{source}\.weight",
            f"{target}/kernel",
            lambda weight: layouts.linear(weight)[None],
            "layer",
            join="expert",
            join_order=order,
        ),
        Rule(
            rf"{source}\.bias",
            f"{target}/bias",
            lambda bias: bias[None],
            "layer",
            join="expert",
            join_order=order,
        ),
    ]


def _hugging_face_head(head: DeconvHead | SimpleHead) -> list[Rule]:
    """Rules for VitPose's decoders: numbered layers, then a convolution."""
    rules = layouts.dense(r"head\.conv", "head/final", kernel=layouts.conv)
    for i in range(len(head.deconv_channels) if isinstance(head, DeconvHead) else 0):
        source, norm = rf"head\.deconv{i + 1}", f"head/norm_{i}"
        rules += [
            Rule(rf"{source}\.weight", f"params/head/deconv_{i}/kernel", layouts.deconv),
            layouts.folded_norm(source, norm),
            *layouts.batch_norm(rf"head\.batchnorm{i + 1}", norm),
        ]
    return rules


def _timm_linear(head: ClassificationHead) -> list[Rule]:
    """Rules for the classifier of timm's ViT."""
    return layouts.dense("head", "head/linear")


def _torchvision_linear(head: ClassificationHead) -> list[Rule]:
    """Rules for the classifier of torchvision's ViT."""
    return layouts.dense(r"heads\.head", "head/linear")


_DECODER = "a masked autoencoder's decoder, which only pretraining uses"

# Markers that match fewer checkpoints come first: a masked autoencoder has timm's names, and more.
FORMATS = (
    Format(
        name="official ViTPose",
        marker=r"backbone\.blocks\..+",
        head=r"head\..+",
        tables={ViT: _official, DeconvHead: mmpose_heatmap, SimpleHead: mmpose_heatmap},
        positions="backbone.pos_embed",
        class_slot="added",
        renames=KEYPOINT_HEAD,
        rules=(
            Rule(
                r"associate_keypoint_heads\..+",
                None,
                reason="heads of ViTPose++ for datasets other than the first",
            ),
        ),
    ),
    Format(
        name="Hugging Face VitPose",
        marker=r"backbone\.encoder\.layer\..+",
        head=r"head\..+",
        tables={
            ViT: _hugging_face,
            DeconvHead: _hugging_face_head,
            SimpleHead: _hugging_face_head,
        },
        positions="backbone.embeddings.position_embeddings",
        class_slot="added",
        dataset="COCO",
    ),
    Format(
        name="MMPretrain ViT",
        marker=r"backbone\.cls_token|layers\.0\.ln1\.weight",
        head=r"head\..+",
        purpose="classification",
        tables={ViT: mmpose, ClassificationHead: mmpretrain_linear},
        positions="backbone.pos_embed",
        class_slot="dropped",
        # A backbone saved without a head has no prefix.
        renames=((r"^(?=(cls_token|pos_embed|patch_embed|layers|ln1)\b)", "backbone."),),
        rules=(*MM_RULES, Rule(r"neck\..+", None, reason=_DECODER)),
    ),
    Format(
        name="masked autoencoder",
        marker=r"decoder_blocks\..+",
        head="",
        purpose="classification",
        tables={ViT: _timm},
        positions="pos_embed",
        class_slot="dropped",
        rules=(Rule(r"mask_token|decoder_.+", None, reason=_DECODER),),
    ),
    Format(
        name="timm ViT or a masked autoencoder's encoder",
        marker=r"patch_embed\.proj\.weight",
        head=r"head(_dist)?\..+",
        purpose="classification",
        tables={ViT: _timm, ClassificationHead: _timm_linear},
        positions="pos_embed",
        class_slot="dropped",
    ),
    Format(
        name="torchvision ViT",
        marker=r"encoder\.layers\.encoder_layer_0\..+",
        head=r"heads\..+",
        purpose="classification",
        tables={ViT: _torchvision, ClassificationHead: _torchvision_linear},
        positions="encoder.pos_embedding",
        class_slot="dropped",
    ),
)
