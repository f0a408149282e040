"""Rules from a project's names to the arrays of a vision transformer, for all of its variants."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxpose.models import layouts
from jaxpose.models.conversion import Rule
from jaxpose.models.vit import ViT

NOTHING = "$^"
"""Regular expression that matches no name."""


class Parts(NamedTuple):
    """Layers or arrays that are one array here: what their names begin with, and their ends."""

    start: str
    ends: tuple[str, ...]


class ViTNames(NamedTuple):
    """Regular expressions for a project's names; those from `norm1` on are within a layer.

    Attributes:
      qkv_weight, qkv_bias: arrays of one layer for queries, keys and values.
      separate: layers of queries, keys and values.
      biases: biases of queries and values, beside a layer without biases.
      gated: layer for gate and value of a SwiGLU.
      gates: layers of gate and value.
      mlp_bias: bias of the MLP's first layer where it is not beside its weights.
    """

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
    separate: Parts | None = None
    biases: Parts | None = None
    query_norm: str = NOTHING
    key_norm: str = NOTHING
    out_norm: str = NOTHING
    gated: str = NOTHING
    gates: Parts | None = None
    mlp_norm: str = NOTHING
    mlp_bias: str = NOTHING
    scale1: str = NOTHING
    scale2: str = NOTHING
    registers: str = NOTHING
    patch_norm: str = NOTHING
    first_norm: str = NOTHING


def vit_rules(model: ViT, names: ViTNames) -> list[Rule]:
    """Rules for all parts of a ViT except the experts of ViTPose++."""
    rules = _outside(model, names)
    first = 0
    for stack, depth, kv_heads in model.stacks:
        numbers = "|".join(map(str, range(first, first + depth)))
        layer = layer_pattern(names, numbers if len(model.stacks) > 1 else r"\d+")
        rules += [
            replace(rule, first=first)
            for rule in _inside(model, names, layer, f"backbone/{stack}", kv_heads)
        ]
        first += depth
    return rules


def layer_pattern(names: ViTNames, numbers: str = r"\d+") -> str:
    """Regular expression for the beginning of a layer's names, with the group `layer`."""
    return rf"{names.layer}(?P<layer>{numbers})"


def _outside(model: ViT, names: ViTNames) -> list[Rule]:
    """Rules for all parts before and after the layers."""
    token = Rule(names.class_token, None, reason="this ViT has no class token, only patches")
    if model.class_token:
        token = Rule(names.class_token, "params/backbone/class_token", lambda x: x.reshape(-1))
    rules = [
        token,
        *_teachers(model, names),
        Rule(
            names.positions,
            "params/backbone/position_embedding",
            lambda x: x.reshape(x.shape[-2:]),
        ),
        *layouts.dense(names.patches, "backbone/patch_embed/projection", kernel=_patches),
        *layouts.layer_norm(names.norm, "backbone/norm"),
    ]
    if names.registers != NOTHING:
        target = "params/backbone/register_tokens"
        rules.append(Rule(names.registers, target, lambda x: x.reshape(x.shape[-2:])))
    for source, target in ((names.patch_norm, "patch_norm"), (names.first_norm, "first_norm")):
        if source != NOTHING:
            rules += layouts.layer_norm(source, f"backbone/{target}")
    return rules


def _patches(weight: np.ndarray) -> np.ndarray:
    """Patch embedding as a convolution, or as a matrix of pixels with the channels last."""
    return layouts.linear(weight) if weight.ndim == 2 else layouts.patches(weight)


def _teachers(model: ViT, names: ViTNames) -> list[Rule]:
    """Rule that drops the teacher token of a distilled DeiT (arXiv:2012.12877).

    `jaxpose.convert` removes the token's position embedding.
    """
    if model.class_token or "cls_token" not in names.class_token:
        return []
    pattern = names.class_token.replace("cls_token", "dist_token")
    return [Rule(pattern, None, reason="a distilled DeiT's token, which only its classifier uses")]


def _inside(model: ViT, names: ViTNames, layer: str, block: str, kv_heads: int) -> list[Rule]:
    """Rules for the layers of one stack, whose names begin with `layer`."""

    def norm(source: str, target: str) -> list[Rule]:
        if source == NOTHING:
            return []
        return layouts.layer_norm(rf"{layer}\.{source}", f"{block}/{target}", "layer")

    def dense(source: str, target: str, **kinds: Callable[[np.ndarray], np.ndarray]) -> list[Rule]:
        return layouts.dense(rf"{layer}\.{source}", f"{block}/{target}", "layer", **kinds)

    rules = [
        *norm(names.norm1, "norm1"),
        *norm(names.norm2, "norm2"),
        *norm(names.query_norm, "attention/query_norm"),
        *norm(names.key_norm, "attention/key_norm"),
        *norm(names.out_norm, "attention/norm"),
        *norm(names.mlp_norm, "mlp/norm"),
        *dense(names.out, "attention/out", kernel=layouts.attention_out(model.heads)),
        *dense(names.fc2, "mlp/fc2"),
        *_fused(model, names, layer, block),
        *_separate(model, names, layer, block, kv_heads),
    ]
    if model.mlp == "swiglu":
        rules += _swiglu(names, layer, f"params/{block}/mlp/gated")
    else:
        rules += dense(names.fc1, "mlp/fc1")
    if names.mlp_bias != NOTHING:
        rules.append(
            Rule(rf"{layer}\.{names.mlp_bias}", f"params/{block}/mlp/fc1/bias", stack="layer")
        )
    for source, target in ((names.scale1, "scale1"), (names.scale2, "scale2")):
        if source != NOTHING:
            path = f"params/{block}/{target}/scale"
            rules.append(Rule(rf"{layer}\.{source}", path, stack="layer"))
    return rules


def _swiglu(names: ViTNames, layer: str, target: str) -> list[Rule]:
    """Rules for gate and value, the first layers of a SwiGLU, from one matrix or from two."""
    rules = []
    if names.gated != NOTHING:
        source = rf"{layer}\.{names.gated}"
        rules += [
            Rule(
                rf"{source}\.weight",
                f"{target}/kernel",
                lambda weight: layouts.linear(weight).reshape(weight.shape[1], 2, -1),
                "layer",
            ),
            Rule(rf"{source}\.bias", f"{target}/bias", lambda bias: bias.reshape(2, -1), "layer"),
        ]
    if names.gates:
        weight, bias = (lambda array: layouts.linear(array)[:, None]), (lambda array: array[None])
        rules += _joined(names.gates, layer, target, weight, bias)
    return rules


def _fused(model: ViT, names: ViTNames, layer: str, block: str) -> list[Rule]:
    """Rules for a layer of queries, keys and values in one."""
    target, heads = f"params/{block}/attention", model.heads
    weight, bias = layouts.fused_qkv(heads), layouts.fused_qkv_bias(heads)
    rules = [Rule(rf"{layer}\.{names.qkv_weight}", f"{target}/qkv/kernel", weight, "layer")]
    source = rf"{layer}\.{names.qkv_bias}"
    if model.qkv_bias_kind != "query_value":
        return [*rules, Rule(source, f"{target}/qkv/bias", bias, "layer")]
    # The key's part is multiplied by zero in the code that writes such files.
    path = f"{target}/query_value_bias"
    rules.append(Rule(source, path, lambda array: bias(array)[[0, 2]], "layer"))
    return rules + ([_biases(names.biases, layer, path, heads)] if names.biases else [])


def _separate(model: ViT, names: ViTNames, layer: str, block: str, kv_heads: int) -> list[Rule]:
    """Rules for separate layers of queries, keys and values."""
    if not names.separate:
        return []
    target, heads = f"params/{block}/attention", model.heads
    start, ends = names.separate

    def kernel(count: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: layouts.linear(array).reshape(array.shape[1], 1, count, -1)

    def bias(count: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda array: array.reshape(1, count, -1)

    if kv_heads != heads:
        query = rf"{layer}\.{start}{ends[0]}"
        return [
            Rule(
                rf"{query}\.weight",
                f"{target}/query/kernel",
                lambda array: kernel(heads)(array)[:, 0],
                "layer",
            ),
            Rule(rf"{query}\.bias", f"{target}/query/bias", lambda x: bias(heads)(x)[0], "layer"),
            *_joined(
                Parts(start, ends[1:]),
                layer,
                f"{target}/key_value",
                kernel(kv_heads),
                bias(kv_heads),
            ),
        ]
    weights, biases = _joined(names.separate, layer, f"{target}/qkv", kernel(heads), bias(heads))
    if model.qkv_bias_kind == "query_value":
        parts = Parts(start, (ends[0], ends[2]))
        biases = _biases(parts, layer, f"{target}/query_value_bias", heads, r"\.bias")
    return [weights, biases]


def _joined(
    parts: Parts,
    layer: str,
    target: str,
    weight: Callable[[np.ndarray], np.ndarray],
    bias: Callable[[np.ndarray], np.ndarray],
) -> list[Rule]:
    """Rules for the weights and the biases of layers that are one layer here."""
    source = rf"{layer}\.{parts.start}(?P<part>{'|'.join(parts.ends)})"
    joined = partial(Rule, stack="layer", join="part", join_order=parts.ends)
    return [
        joined(rf"{source}\.weight", f"{target}/kernel", weight, join_axis=1),
        joined(rf"{source}\.bias", f"{target}/bias", bias),
    ]


def _biases(parts: Parts, layer: str, target: str, heads: int, end: str = "") -> Rule:
    return Rule(
        rf"{layer}\.{parts.start}(?P<part>{'|'.join(parts.ends)}){end}",
        target,
        lambda bias: bias.reshape(1, heads, -1),
        "layer",
        join="part",
        join_order=parts.ends,
    )
