"""Conversion tables of today's large vision transformers, by project and its names."""

import re
from collections.abc import Mapping
from functools import partial

import numpy as np

from jaxpose.models import layouts
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Format, Resize, Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.vit_inference import infer_vit
from jaxpose.models.published.vit_rules import Parts, ViTNames, vit_rules
from jaxpose.models.token_heads import AttentionPoolHead, FeatureHead
from jaxpose.models.vit import ViT

# timm's names, which the code of DINOv2 and DINOv3 shares for most layers.
_TIMM = ViTNames(
    positions="pos_embed",
    class_token="cls_token",
    patches=r"patch_embed\.proj",
    layer=r"blocks\.",
    norm="norm",
    norm1="norm1",
    norm2="norm2",
    out=r"attn\.proj",
    fc1=r"mlp\.fc1",
    fc2=r"mlp\.fc2",
    separate=Parts(r"attn\.", ("q_proj", "k_proj", "v_proj")),
    biases=Parts(r"attn\.", ("q_bias", "v_bias")),
    query_norm=r"attn\.q_norm",
    key_norm=r"attn\.k_norm",
    out_norm=r"attn\.norm",
    gated=r"mlp\.fc1",
    gates=Parts(r"mlp\.", ("fc1_g", "fc1_x")),
    mlp_norm=r"mlp\.norm",
    mlp_bias=r"mlp\.fc1_bias",
    scale1=r"(ls1\.gamma|gamma_1)",
    scale2=r"(ls2\.gamma|gamma_2)",
    registers="reg_token",
    patch_norm=r"patch_embed\.norm",
    first_norm="norm_pre",
)
_DINO = _TIMM._replace(
    gated=r"mlp\.w12",
    gates=Parts(r"mlp\.", ("w1", "w2")),
    fc2=r"mlp\.(fc2|w3)",
    registers="(register|storage)_tokens",
)
_DINOV2_HUGGING_FACE = ViTNames(
    positions=r"embeddings\.position_embeddings",
    class_token=r"embeddings\.cls_token",
    patches=r"embeddings\.patch_embeddings\.projection",
    layer=r"encoder\.layer\.",
    norm="layernorm",
    norm1="norm1",
    norm2="norm2",
    out=r"attention\.output\.dense",
    fc1=r"mlp\.fc1",
    fc2=r"mlp\.(fc2|weights_out)",
    separate=Parts(r"attention\.attention\.", ("query", "key", "value")),
    gated=r"mlp\.weights_in",
    scale1=r"layer_scale1\.lambda1",
    scale2=r"layer_scale2\.lambda1",
    registers=r"embeddings\.register_tokens",
)
_DINOV3_HUGGING_FACE = ViTNames(
    positions=r"embeddings\.position_embeddings",
    class_token=r"embeddings\.cls_token",
    patches=r"embeddings\.patch_embeddings",
    layer=r"layer\.",
    norm="norm",
    norm1="norm1",
    norm2="norm2",
    out=r"attention\.o_proj",
    fc1=r"mlp\.up_proj",
    fc2=r"mlp\.down_proj",
    separate=Parts(r"attention\.", ("q_proj", "k_proj", "v_proj")),
    gates=Parts(r"mlp\.", ("gate_proj", "up_proj")),
    scale1=r"layer_scale1\.lambda1",
    scale2=r"layer_scale2\.lambda1",
    registers=r"embeddings\.register_tokens",
)
_SIGLIP_HUGGING_FACE = ViTNames(
    positions=r"embeddings\.position_embedding\.weight",
    class_token=r"embeddings\.class_embedding",
    patches=r"embeddings\.patch_embedding",
    layer=r"encoder\.layers\.",
    norm="post_layernorm",
    norm1="layer_norm1",
    norm2="layer_norm2",
    out=r"self_attn\.out_proj",
    fc1=r"mlp\.fc1",
    fc2=r"mlp\.fc2",
    separate=Parts(r"self_attn\.", ("q_proj", "k_proj", "v_proj")),
)
_PERCEPTION = ViTNames(
    positions="positional_embedding",
    class_token="class_embedding",
    patches="conv1",
    layer=r"transformer\.resblocks\.",
    norm="ln_post",
    norm1="ln_1",
    norm2="ln_2",
    out=r"attn\.out_proj",
    fc1=r"mlp\.c_fc",
    fc2=r"mlp\.c_proj",
    qkv_weight=r"attn\.in_proj_weight",
    qkv_bias=r"attn\.in_proj_bias",
    scale1=r"ls_1\.gamma",
    scale2=r"ls_2\.gamma",
    first_norm="ln_pre",
)
_SAPIENS2 = ViTNames(
    positions=r"backbone\.pos_embed",
    class_token=r"backbone\.cls_token",
    patches=r"backbone\.patch_embed\.projection",
    layer=r"backbone\.blocks\.",
    norm=r"backbone\.ln1",
    norm1="ln1",
    norm2="ln2",
    out=r"attn\.proj",
    fc1=r"ffn\.fc1",
    fc2=r"ffn\.w3",
    separate=Parts(r"attn\.", ("wq", "wk", "wv")),
    query_norm=r"attn\.q_norm",
    key_norm=r"attn\.k_norm",
    gated=r"ffn\.w12",
    scale1=r"attn\.gamma\.weight",
    registers=r"backbone\.storage_tokens",
)


def _table(names: ViTNames, *dropped: Rule):
    """Table of one project: the rules of a ViT, and those that drop what no ViT here uses."""

    def rules(model: ViT) -> list[Rule]:
        found = [*vit_rules(model, names), *dropped]
        if not model.last_norm:
            reason = "a norm of the mean over patches, which only the classifier uses"
            found.append(Rule(r"fc_norm\..+", None, reason=reason))
        return found

    return rules


_MASK = Rule(
    r"(embeddings\.)?mask_token", None, reason="a token for hidden patches, only for pretraining"
)
_PERIODS = Rule(r"(backbone\.)?rope_embed\.periods", None, reason="periods are computed here")
_KEY_BIAS = Rule(
    r"blocks\.\d+\.attn\.qkv\.bias_mask",
    None,
    reason="a mask that makes the keys' bias zero: there is none here",
    numbers=(0.0, 1.0),
)
_LOCAL_NORM = Rule(
    r"local_cls_norm\.(weight|bias)", None, reason="a norm that only pretraining uses"
)
_POOL = r"attn_pool\..+"


def _features(pattern: str):
    """Table of `FeatureHead`, which drops the arrays of a project's own head."""

    def rules(head: FeatureHead) -> list[Rule]:
        return [Rule(pattern, None, reason="the head for whole images, which is not used here")]

    return rules


def _timm_pool(head: AttentionPoolHead) -> list[Rule]:
    """Rules for timm's AttentionPoolLatent."""
    pool, heads = r"attn_pool\.", head.heads
    target = "params/head/key_value"
    return [
        Rule(rf"{pool}latent", "params/head/query_token", lambda x: x.reshape(-1)),
        *layouts.dense(
            rf"{pool}q", "head/query", kernel=_split(1, heads), bias=lambda x: x.reshape(heads, -1)
        ),
        Rule(rf"{pool}kv\.weight", f"{target}/kernel", _split(2, heads)),
        Rule(rf"{pool}kv\.bias", f"{target}/bias", lambda x: x.reshape(2, heads, -1)),
        *layouts.dense(rf"{pool}proj", "head/out", kernel=layouts.attention_out(heads)),
        *layouts.layer_norm(rf"{pool}norm", "head/norm"),
        *layouts.dense(rf"{pool}mlp\.fc1", "head/mlp/fc1"),
        *layouts.dense(rf"{pool}mlp\.fc2", "head/mlp/fc2"),
        _PROJECTION,
    ]


def _torch_pool(pool: str, attention: str, fc1: str, fc2: str, head: AttentionPoolHead):
    """Rules for a head with PyTorch's MultiheadAttention, whose projections `_unpack` separates."""
    heads = head.heads
    target = "params/head"
    return [
        Rule(rf"{pool}probe", f"{target}/query_token", lambda x: x.reshape(-1)),
        Rule(rf"{pool}{attention}\.q_weight", f"{target}/query/kernel", _split(1, heads)),
        Rule(rf"{pool}{attention}\.q_bias", f"{target}/query/bias", lambda x: x.reshape(heads, -1)),
        Rule(rf"{pool}{attention}\.kv_weight", f"{target}/key_value/kernel", _split(2, heads)),
        Rule(
            rf"{pool}{attention}\.kv_bias",
            f"{target}/key_value/bias",
            lambda x: x.reshape(2, heads, -1),
        ),
        *layouts.dense(
            rf"{pool}{attention}\.out_proj", "head/out", kernel=layouts.attention_out(heads)
        ),
        *layouts.layer_norm(rf"{pool}layernorm", "head/norm"),
        *layouts.dense(rf"{pool}{fc1}", "head/mlp/fc1"),
        *layouts.dense(rf"{pool}{fc2}", "head/mlp/fc2"),
        _PROJECTION,
    ]


_PROJECTION = Rule("proj", None, reason="the projection to the space that texts share")


def _split(parts: int, heads: int):
    """`[parts * D, D]` -> `[D, parts, heads, D / heads]`, without the second axis for one part."""

    def transform(weight: np.ndarray) -> np.ndarray:
        shape = (parts, heads) if parts > 1 else (heads,)
        return layouts.linear(weight).reshape(weight.shape[1], *shape, -1)

    return transform


def _sapiens2_head(head: DeconvHead) -> list[Rule]:
    """Rules for Sapiens2's head; each layer is followed by its norm, without arrays, and SiLU."""
    rules = layouts.dense(r"decode_head\.conv_pose", "head/final", kernel=layouts.conv)
    for i in range(len(head.deconv_channels)):
        source = rf"decode_head\.deconv_layers\.{3 * i}\.weight"
        rules.append(Rule(source, f"params/head/deconv_{i}/kernel", layouts.deconv))
    for i in range(len(head.conv_channels)):
        source = rf"decode_head\.conv_layers\.{3 * i}"
        rules += layouts.dense(source, f"head/conv_{i}", kernel=layouts.conv)
    return rules


def _timm_linear(head: ClassificationHead) -> list[Rule]:
    """Rules for the classifier of timm's ViT."""
    return layouts.dense("head", "head/linear")


def _unpack_pool(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Separate the queries from the keys and values of a pooling head."""
    unpacked = {}
    for key, array in arrays.items():
        found = re.fullmatch(r"((?:head\.attention|attn_pool\.attn)\.)in_proj_(weight|bias)", key)
        if not found:
            unpacked[key] = array
            continue
        part = len(array) // 3
        unpacked[f"{found[1]}q_{found[2]}"] = array[:part]
        unpacked[f"{found[1]}kv_{found[2]}"] = array[part:]
    return unpacked


def _unpack_parallel(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Separate hidden units, queries, keys and values of timm's ParallelScalingBlock.

    They are one matrix there; the names are those of timm's plain block.
    """
    unpacked = {}
    for key, array in arrays.items():
        start, _, name = key.rpartition("blocks.")[2].partition(".")
        layer = f"blocks.{start}."
        if not key.startswith("blocks."):
            unpacked[key] = array
        elif name == "in_proj.weight":
            hidden = len(array) - 3 * array.shape[1]
            unpacked[f"{layer}mlp.fc1.weight"] = array[:hidden]
            unpacked[f"{layer}attn.qkv.weight"] = array[hidden:]
        else:
            for old, new in _PARALLEL.items():
                name = re.sub(rf"^{old}", new, name)
            unpacked[layer + name] = array
    return unpacked


_PARALLEL = {
    "mlp_bias": "mlp.fc1.bias",
    "in_norm": "norm1",
    "q_norm": "attn.q_norm",
    "k_norm": "attn.k_norm",
    "attn_out_proj": "attn.proj",
    "mlp_out_proj": "mlp.fc2",
}


infer_timm = partial(infer_vit, _TIMM, "timm")
"""`infer_vit` for timm's names."""


_ANTIALIASED = Resize(antialias=True)
_HEAD = r"(head(_dist)?|attn_pool)\..+"
_TEXT = (
    Rule(r"text_model\..+", None, reason="the encoder of texts"),
    Rule("logit_(scale|bias)", None, reason="constants of the contrastive loss"),
)


def _timm_format(name: str, marker: str, **settings) -> Format:
    return Format(
        **{
            "name": name,
            "marker": marker,
            "head": _HEAD,
            "purpose": "classification",
            "tables": {
                ViT: _table(_TIMM, _MASK),
                ClassificationHead: _timm_linear,
                FeatureHead: _features(_HEAD),
                AttentionPoolHead: _timm_pool,
            },
            "positions": "pos_embed",
            "class_slot": "dropped",
            "class_token": "cls_token",
            "resize": _ANTIALIASED,
            "infer": infer_timm,
            **settings,
        }
    )


def _dino_format(
    name: str, marker: str, dropped: tuple[Rule, ...], resize: Resize, also: str = ""
) -> Format:
    return Format(
        name=name,
        marker=marker,
        also=also,
        head=r"head\..+",
        purpose="classification",
        tables={
            ViT: _table(_DINO, _MASK, *dropped),
            FeatureHead: _features(r"head\..+"),
        },
        positions="pos_embed",
        class_slot="dropped",
        class_token="cls_token",
        resize=resize,
        periods="rope_embed.periods",
        infer=partial(infer_vit, _DINO, "official"),
    )


def _dinov2_format(name: str, also: str, antialias: bool) -> Format:
    prefix = r"(dinov2(_with_registers)?\.)?"
    return Format(
        name=name,
        marker=prefix + r"encoder\.layer\.0\.layer_scale1\.lambda1",
        also=prefix + re.escape(also),
        head=r"classifier\..+",
        purpose="classification",
        tables={
            ViT: _table(_DINOV2_HUGGING_FACE, _MASK),
            FeatureHead: _features(r"classifier\..+"),
        },
        positions="embeddings.position_embeddings",
        class_slot="dropped",
        class_token="embeddings.cls_token",
        resize=Resize(antialias=antialias),
        renames=((r"^dinov2(_with_registers)?\.", ""),),
        infer=partial(infer_vit, _DINOV2_HUGGING_FACE, "Hugging Face"),
    )


# Markers that match fewer checkpoints come first.
FORMATS = (
    Format(
        name="Sapiens2",
        marker=r"(backbone\.)?blocks\.0\.attn\.wq\.weight",
        head=r"decode_head\..+",
        tables={
            ViT: _table(_SAPIENS2, _PERIODS),
            DeconvHead: _sapiens2_head,
            FeatureHead: _features(r"decode_head\..+"),
        },
        renames=(
            (r"^(?=(blocks|cls_token|storage_tokens|patch_embed|ln1|rope_embed)\b)", "backbone."),
        ),
        periods="backbone.rope_embed.periods",
        infer=partial(infer_vit, _SAPIENS2, "official"),
    ),
    _dino_format("DINOv3", "storage_tokens", (_PERIODS, _KEY_BIAS, _LOCAL_NORM), _ANTIALIASED),
    _dino_format("DINOv2 with registers", "register_tokens", (), _ANTIALIASED),
    # A masked autoencoder has a mask token, too, and other ViTs have factors on their branches.
    _dino_format("DINOv2", r"blocks\.0\.ls1\.gamma", (), Resize(offset=0.1), also="mask_token"),
    _dinov2_format("Hugging Face DINOv2 with registers", "embeddings.register_tokens", True),
    _dinov2_format("Hugging Face DINOv2", "embeddings.mask_token", False),
    Format(
        name="Hugging Face DINOv3",
        marker=r"(model\.)?layer\.0\.attention\.q_proj\.weight",
        head=r"classifier\..+",
        purpose="classification",
        tables={
            ViT: _table(_DINOV3_HUGGING_FACE, _MASK),
            FeatureHead: _features(r"classifier\..+"),
        },
        renames=((r"^(model\.)?layer\.", "layer."),),
        infer=partial(infer_vit, _DINOV3_HUGGING_FACE, "Hugging Face"),
    ),
    Format(
        name="Hugging Face SigLIP",
        marker=r"(vision_model\.)?encoder\.layers\.0\.self_attn\.q_proj\.weight",
        head=r"head\..+",
        purpose="classification",
        tables={
            ViT: _table(_SIGLIP_HUGGING_FACE),
            FeatureHead: _features(r"head\..+"),
            AttentionPoolHead: partial(
                _torch_pool, r"head\.", "attention", r"mlp\.fc1", r"mlp\.fc2"
            ),
        },
        positions="embeddings.position_embedding.weight",
        naflex="embeddings.patch_embedding.weight",
        renames=((r"^vision_model\.", ""),),
        rules=_TEXT,
        unpack=_unpack_pool,
        infer=partial(infer_vit, _SIGLIP_HUGGING_FACE, "Hugging Face"),
    ),
    Format(
        name="Perception Encoder",
        marker=r"transformer\.resblocks\.0\.attn\.in_proj_weight",
        head=r"attn_pool\..+|proj",
        purpose="classification",
        tables={
            ViT: _table(_PERCEPTION),
            FeatureHead: _features(r"attn_pool\..+|proj"),
            AttentionPoolHead: partial(
                _torch_pool, r"attn_pool\.", "attn", r"mlp\.c_fc", r"mlp\.c_proj"
            ),
        },
        positions="positional_embedding",
        class_slot="dropped",
        class_token="class_embedding",
        resize=Resize("bilinear"),
        unpack=_unpack_pool,
        infer=partial(infer_vit, _PERCEPTION, "official"),
    ),
    _timm_format(
        "timm parallel ViT",
        r"blocks\.0\.in_proj\.weight",
        unpack=_unpack_parallel,
        infer=partial(infer_vit, _TIMM, "timm parallel"),
    ),
    _timm_format(
        "timm large ViT",
        r"reg_token|norm_pre\.weight|attn_pool\.latent|"
        r"blocks\.0\.(ls1\.gamma|gamma_1|mlp\.fc1_g\.weight|attn\.(q_bias|q_proj\.weight|norm\.weight))",
    ),
)


def terms_of(source: Format, state_dict: Mapping[str, np.ndarray], backbone: object) -> str:
    """Terms of weights that bind their users after a conversion, too; "" for none."""
    if not isinstance(backbone, ViT):
        return ""
    if source.name == "Sapiens2" or (backbone.rope is not None and backbone.norm_kind == "rms"):
        return (
            "Weights of Sapiens2 are under its own licence (facebookresearch/sapiens2): no "
            "surveillance, no biometric processing; models made from them keep these terms."
        )
    if backbone.rope is not None and backbone.rope.coordinates != "counted":
        return (
            "Weights of DINOv3 are under the DINOv3 licence (facebookresearch/dinov3); models made "
            "from them keep its terms."
        )
    sapiens = r"head\.conv_layers\.\d+\.bias"
    norms = any("running_mean" in key for key in state_dict)
    if not norms and any(re.fullmatch(sapiens, key) for key in state_dict):
        return (
            "Weights of Sapiens (facebookresearch/sapiens) are under CC BY-NC 4.0, which forbids "
            "commercial use; models made from them keep these terms."
        )
    return ""
