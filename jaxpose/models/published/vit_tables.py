"""Conversion tables of vision transformers, one function for each project's names."""

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
from jaxpose.models.published.vit_rules import Parts, ViTNames, layer_pattern, vit_rules
from jaxpose.models.vit import ViT


def mmpose(model: ViT) -> list[Rule]:
    """Rules for MMPretrain's VisionTransformer, which MMPose uses, too."""
    names = ViTNames(
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
    return vit_rules(model, names)


def official_vitpose(model: ViT) -> list[Rule]:
    """Rules for the authors' code of ViTPose and ViTPose++."""
    names = _timm_names(r"backbone\.", r"backbone\.last_norm")
    return [*vit_rules(model, names), *_experts(model, names)]


def _timm(model: ViT) -> list[Rule]:
    """Rules for timm's VisionTransformer and a masked autoencoder's encoder (arXiv:2111.06377)."""
    names = _timm_names("", "norm")
    return vit_rules(model, names)


def _torchvision(model: ViT) -> list[Rule]:
    """Rules for torchvision's VisionTransformer.

    The MLP's layers have other names in its weight files than in its code. Attention is PyTorch's,
    with the three projections in one.
    """
    names = ViTNames(
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
    return vit_rules(model, names)


def _hugging_face(model: ViT) -> list[Rule]:
    """Rules for Hugging Face's VitPose and VitPose++, which separate query, key and value."""
    names = ViTNames(
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
        separate=Parts(r"attention\.attention\.", ("query", "key", "value")),
    )
    return [*vit_rules(model, names), *_experts(model, names)]


def _timm_names(prefix: str, norm: str) -> ViTNames:
    return ViTNames(
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


def _experts(model: ViT, names: ViTNames) -> list[Rule]:
    """Rules for the weights of each dataset's expert, joined on a leading axis."""
    source = rf"{layer_pattern(names)}\.mlp\.experts\.(?P<expert>\d+)"
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
        tables={ViT: official_vitpose, DeconvHead: mmpose_heatmap, SimpleHead: mmpose_heatmap},
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
