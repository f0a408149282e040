"""Hiera backbones with heatmaps, and the conversion table of timm's weights."""

from typing import NamedTuple

from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Resize, Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hiera import Hiera
from jaxpose.models.published.record import Family
from jaxpose.models.token_heads import FeatureHead

__all__ = ["HIERA", "Hiera", "hiera"]


class _Size(NamedTuple):
    dim: int
    depths: tuple[int, ...]
    heads: int


# arXiv:2306.00989, table 1 of the appendix.
_SIZES = {
    "T": _Size(96, (1, 2, 7, 2), 1),
    "S": _Size(96, (1, 2, 11, 2), 1),
    "B": _Size(96, (2, 3, 16, 3), 1),
    "B+": _Size(112, (2, 3, 16, 3), 2),
    "L": _Size(144, (2, 6, 36, 4), 2),
    "H": _Size(256, (2, 6, 36, 4), 4),
}


def hiera(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """Hiera (Ryali et al. 2023, arXiv:2306.00989) of `size` T, S, B, B+, L or H with heatmaps.

    Three deconvolutions make heatmaps of `input_hw / 4`; `input_hw` is a multiple of 32.

    Raises:
      InputError: there is no such size.
    """
    if size not in _SIZES:
        known = list(_SIZES)
        raise InputError(f"Unknown Hiera size {size!r}; known: {known}.{nearest(size, known)}")
    hw = (input_hw[0], input_hw[1])
    backbone = Hiera(hw, *_SIZES[size], drop_path=drop_path, remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype))


def _timm(model: Hiera) -> list[Rule]:
    """Rules for timm's Hiera."""
    rules = [
        *layouts.dense(r"patch_embed\.proj", "backbone/patch_embed", kernel=layouts.conv),
        Rule("pos_embed", "params/backbone/position_embedding", lambda x: x.squeeze(0)),
        Rule(r"head\.norm\..+", None, reason="a norm of the mean, which only the classifier uses"),
    ]
    number = 0
    for stage, depth in enumerate(model.depths):
        heads = model.heads * 2**stage
        for _ in range(depth):
            source, target = rf"blocks\.{number}", f"backbone/block_{number}"
            rules += [
                *layouts.layer_norm(rf"{source}\.norm1", f"{target}/norm1"),
                *layouts.layer_norm(rf"{source}\.norm2", f"{target}/norm2"),
                *layouts.dense(rf"{source}\.proj", f"{target}/projection"),
                *layouts.dense(
                    rf"{source}\.attn\.qkv",
                    f"{target}/attention/qkv",
                    kernel=layouts.qkv(heads),
                    bias=layouts.fused_qkv_bias(heads),
                ),
                *layouts.dense(rf"{source}\.attn\.proj", f"{target}/attention/out"),
                *layouts.dense(rf"{source}\.mlp\.fc1", f"{target}/mlp/fc1"),
                *layouts.dense(rf"{source}\.mlp\.fc2", f"{target}/mlp/fc2"),
            ]
            number += 1
    return rules


def _timm_head(head: FeatureHead) -> list[Rule]:
    return [Rule(r"head\.fc\..+", None, reason="the classifier, which is not used here")]


HIERA = Family(
    "hiera",
    formats=(
        Format(
            name="timm Hiera",
            marker=r"blocks\.\d+\.proj\.weight",
            head=r"head\.fc\..+",
            purpose="classification",
            tables={Hiera: _timm, FeatureHead: _timm_head},
            positions="pos_embed",
            resize=Resize(antialias=True),
        ),
    ),
)
