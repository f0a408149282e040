"""The vision transformer that a checkpoint is from, by the names and shapes of its arrays.

A few facts are in no array: number of heads, epsilon of the norms, kind of GELU, rotary positions.
They are constants of the families, and the arrays show the family.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.published.vit_rules import NOTHING, ViTNames
from jaxpose.models.rope import Rope
from jaxpose.models.vit import ViT
from jaxpose.models.vit_block import Norm

# Heads by width where their width is not 64: timm's and OpenCLIP's ViTs (arXiv:2010.11929, table 1;
# arXiv:2106.04560, table 2; arXiv:2212.07143), EVA (arXiv:2211.07636, table 2; arXiv:2303.15389).
_HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16}
_SIGLIP_HEADS = {**_HEADS, 1536: 16}
_EVA_ROPE = Rope(10000.0, "neighbours", "counted", reference=16)
# Sides of the images that the Perception Encoder's core models were trained at last, in patches
# (arXiv:2504.13181, table 19), by their widths; the spatial models' is 32.
_CORE_REFERENCE = {192: 24, 384: 24, 768: 14, 1024: 24, 1536: 32}


@dataclass(frozen=True)
class _Arrays:
    """Shapes of a checkpoint's arrays under the names of one project."""

    names: ViTNames
    shapes: Mapping[str, tuple[int, ...]]

    def shape(self, pattern: str) -> tuple[int, ...] | None:
        """Shape of the first array whose whole name matches; None if there is none."""
        if pattern == NOTHING:
            return None
        compiled = re.compile(pattern)
        return next((s for name, s in self.shapes.items() if compiled.fullmatch(name)), None)

    def has(self, *patterns: str) -> bool:
        """True if there is an array for one of the patterns."""
        return any(self.shape(pattern) is not None for pattern in patterns)

    def inside(self, name: str, layer: int = 0) -> tuple[int, ...] | None:
        """Shape of an array of one layer; None if there is none."""
        return None if name == NOTHING else self.shape(rf"{self.names.layer}{layer}\.{name}")


Project = Literal["timm", "timm parallel", "official", "Hugging Face"]


def infer_vit(
    names: ViTNames,
    project: Project,
    state_dict: Mapping[str, np.ndarray],
    input_hw: tuple[int, int] | None,
) -> ViT:
    """Build the ViT of a checkpoint that is known to be one, with all of its tokens in the output.

    Args:
      names: names of the project, after renaming.
      project: the kind of project; some facts differ between them.
      state_dict: the arrays.
      input_hw: size of the images; None takes that of the position embedding, or else a usual one.

    Raises:
      InputError: there are no patches or no layers.
    """
    a = _Arrays(names, {key: tuple(array.shape) for key, array in state_dict.items()})
    patches = a.shape(rf"{names.patches}\.weight")
    layers = [
        int(found[1])
        for key in state_dict
        if (found := re.match(rf"{names.layer}(\d+)\.", key)) is not None
    ]
    if not patches or not layers:
        raise InputError(
            "The checkpoint has names of a vision transformer, but no patches or no layers. Save "
            "the whole state_dict of the model for images again."
        )
    dim = patches[0]
    patch = patches[-1] if len(patches) == 4 else math.isqrt(patches[1] // 3)
    token = a.has(names.class_token)
    registers = a.shape(names.registers)
    depth = 1 + max(layers)
    rows = a.shape(names.positions)
    count = rows[-2] if rows else 0
    grid = _grid(count, input_hw, patch, token)
    if grid is None:
        size = input_hw or ((224, 224) if patch == 14 else (256, 192))
    else:
        size = input_hw or (grid[0] * patch, grid[1] * patch)
    norm: Norm = "layer" if a.inside(rf"{names.norm1}\.bias") else "rms"
    mlp = _mlp(a)
    family = _family(a, project, norm, mlp, token, bool(rows), registers)
    rope = _rope(family, project, dim, token, a.has(rf"{names.norm}\.weight"))
    # A class token's position may be part of the token. DINOv2's is, because timm's files have it
    # there.
    dinov2 = registers is not None or (a.inside(names.scale2) is not None and rope is None)
    in_token = dinov2 or (grid is not None and count == grid[0] * grid[1])
    heads, kv_heads, ungrouped = _heads(a, family, dim, depth, mlp, state_dict)
    last_norm = a.has(rf"{names.norm}\.weight")
    return ViT(
        input_hw=size,
        dim=dim,
        depth=depth,
        heads=heads,
        patch=patch,
        patch_padding=0,
        mlp_hidden=(a.inside(rf"{names.fc2}\.weight") or (0, 0))[1],
        class_token=token,
        norm_eps=_epsilon(family),
        qk_norm=a.inside(rf"{names.query_norm}\.weight") is not None
        if names.query_norm != NOTHING
        else False,
        parallel=project == "timm parallel",
        registers=registers[-2] if registers else 0,
        positions="none" if not rows else "patches" if token and in_token else "all",
        rope=rope,
        norm=norm,
        qkv_bias=_qkv_bias(a, family),
        linear_bias=a.inside(rf"{names.out}\.bias") is not None,
        patch_bias=a.has(rf"{names.patches}\.bias"),
        patch_norm=names.patch_norm != NOTHING and a.has(rf"{names.patch_norm}\.weight"),
        first_norm=names.first_norm != NOTHING and a.has(rf"{names.first_norm}\.weight"),
        last_norm=last_norm,
        post_norm=family == "EVA-02 enormous",
        sub_norm="none"
        if names.mlp_norm == NOTHING or not a.inside(rf"{names.mlp_norm}\.weight")
        else "both"
        if a.inside(rf"{names.out_norm}\.weight")
        else "mlp",
        layer_scale="both"
        if a.inside(names.scale2)
        else "attention"
        if a.inside(names.scale1)
        else "none",
        mlp=mlp if mlp == "swiglu" else _gelu(family, project, dim, patch),
        kv_heads=kv_heads,
        ungrouped=ungrouped,
    )


Family = Literal[
    "plain", "DINOv3", "SigLIP", "Perception Encoder", "CLIP", "EVA", "EVA-02", "EVA-02 enormous",
    "Sapiens2", "AIMv2", "BEiT-3",
]  # fmt: skip


def _family(
    a: _Arrays,
    project: Project,
    norm: str,
    mlp: str,
    token: bool,
    positions: bool,
    registers: tuple[int, ...] | None,
) -> Family:
    names = a.names
    if norm == "rms" and registers:
        return "Sapiens2"
    if norm == "rms" and names.patch_norm != NOTHING and a.has(rf"{names.patch_norm}\.weight"):
        return "AIMv2"
    if registers and not positions:
        return "DINOv3"
    if names.first_norm != NOTHING and a.has(rf"{names.first_norm}\.weight"):
        if project == "timm parallel":
            return "plain"
        pooled = a.has(r"attn_pool\.(latent|probe)")
        ends = a.has(rf"{names.norm}\.weight")
        return "CLIP" if ends and not pooled and project == "timm" else "Perception Encoder"
    # timm's SigLIP without a pooling head has a plain ViT's names, but a width of its family alone.
    width = (a.inside(rf"{names.fc2}\.weight") or (0,))[0]
    alone = project == "timm" and mlp == "gelu" and width in (1152, 1536)
    if not token and (project == "Hugging Face" or alone or a.has(r"attn_pool\.latent")):
        return "SigLIP"
    if (
        names.biases
        and names.separate
        and (
            a.inside(rf"{names.biases.start}{names.biases.ends[0]}")
            or a.inside(rf"{names.separate.start}{names.separate.ends[0]}\.weight")
        )
    ):
        if mlp == "swiglu":
            return "EVA-02"
        return "EVA-02 enormous" if a.has(rf"{names.norm}\.weight") else "EVA"
    if names.out_norm != NOTHING and a.inside(rf"{names.out_norm}\.weight"):
        return "BEiT-3"
    return "plain"


def _grid(
    count: int, input_hw: tuple[int, int] | None, patch: int, token: bool
) -> tuple[int, int] | None:
    """Grid of `count` positions, one of which may be a class token's; None for no positions."""
    for patches in (count, count - 1) if token else (count,):
        if patches <= 0:
            continue
        if input_hw and (input_hw[0] // patch) * (input_hw[1] // patch) == patches:
            return input_hw[0] // patch, input_hw[1] // patch
        side = math.isqrt(patches)
        if side * side == patches:
            return side, side
        scale = math.isqrt(patches // 12)
        if 12 * scale * scale == patches:  # people: four to three
            return 4 * scale, 3 * scale
    return None


def _mlp(a: _Arrays) -> Literal["gelu", "swiglu"]:
    names = a.names
    if names.gates and a.inside(rf"{names.gates.start}{names.gates.ends[0]}\.weight"):
        return "swiglu"
    packed = a.inside(rf"{names.gated}\.weight") if names.gated != NOTHING else None
    out = a.inside(rf"{names.fc2}\.weight")
    return "swiglu" if packed and out and packed[0] == 2 * out[1] else "gelu"


def _heads(
    a: _Arrays,
    family: Family,
    dim: int,
    depth: int,
    mlp: str,
    state_dict: Mapping[str, np.ndarray],
) -> tuple[int, int, int]:
    """Heads, heads of keys and values in the grouped layers, layers at each end without groups."""
    names = a.names
    width = 0
    normed = None if names.query_norm == NOTHING else a.inside(rf"{names.query_norm}\.weight")
    periods = a.shape(r"(backbone\.)?rope_embed\.periods")
    if normed:
        width = normed[0]
    elif periods:
        width = 4 * periods[0]
    elif family == "DINOv3":
        # 7B has 32 heads for a width of 4096; only its MLP is twice as wide as the tokens.
        out = a.inside(rf"{names.fc2}\.weight") or (1, 1)
        width = 128 if mlp == "swiglu" and out[1] == 2 * out[0] else 64
    elif family == "Perception Encoder":
        width = 64 if a.has(names.class_token) else 96
    elif family == "AIMv2":
        width = 128
    known = {"SigLIP": _SIGLIP_HEADS, "EVA-02": {}}.get(family, _HEADS)
    heads = dim // width if width else known.get(dim, max(1, dim // 64))
    if not names.separate:
        return heads, 0, 0
    key = rf"{names.separate.start}{names.separate.ends[1]}\.weight"
    rows = [(a.inside(key, layer) or (dim,))[0] for layer in range(depth)]
    if min(rows) == dim:
        return heads, 0, 0
    return heads, min(rows) * heads // dim, rows.index(min(rows))


def _epsilon(family: Family) -> float:
    wide = ("DINOv3", "Perception Encoder", "CLIP", "AIMv2", "BEiT-3")
    return 1e-5 if family in wide else 1e-6


def _gelu(family: Family, project: Project, dim: int, patch: int) -> Literal["gelu", "gelu_tanh"]:
    """SigLIP's GELU: tanh's in its own code; timm has that of SigLIP 2 in So400m/16 and g alone."""
    if family != "SigLIP":
        return "gelu"
    own = project != "timm" or dim >= 1536 or (dim == 1152 and patch == 16)
    return "gelu_tanh" if own else "gelu"


def _qkv_bias(a: _Arrays, family: Family) -> Literal["all", "query_value", "none"]:
    names = a.names
    if names.biases and a.inside(rf"{names.biases.start}{names.biases.ends[0]}"):
        return "query_value"
    if names.separate:
        query, key = (
            a.inside(rf"{names.separate.start}{end}\.bias") for end in names.separate.ends[:2]
        )
        if query:
            return "all" if key else "query_value"
    if a.inside(names.qkv_bias):
        return "query_value" if family == "DINOv3" else "all"
    return "none"


def _rope(family: Family, project: Project, dim: int, token: bool, ends: bool) -> Rope | None:
    if family in ("DINOv3", "Sapiens2"):
        return Rope()
    if family == "EVA-02":
        return _EVA_ROPE
    if family != "Perception Encoder":
        return None
    # timm stretches the positions of other sizes to those of pretraining; the official code does
    # not. The spatial models have no last norm.
    reference = 0
    if project == "timm":
        reference = _CORE_REFERENCE.get(dim, 24) if ends else 32
    return Rope(10000.0, "neighbours", "counted", "xy", int(token), reference)
