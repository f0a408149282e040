"""Segment Anything's image encoders with pose heads, and their conversion tables."""

from typing import NamedTuple

from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Resize, Rule
from jaxpose.models.published.record import Family
from jaxpose.models.published.vit_heads import pose_head
from jaxpose.models.sam import SAMViT
from jaxpose.models.token_heads import FeatureHead

__all__ = ["SAM", "SAMViT", "sam"]


class _Size(NamedTuple):
    dim: int
    depth: int
    heads: int


_SIZES = {"B": _Size(768, 12, 12), "L": _Size(1024, 24, 16), "H": _Size(1280, 32, 16)}


def sam(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    head: str = "classic",
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """Image encoder of Segment Anything (arXiv:2304.02643) of `size` B, L or H with a pose head.

    `head` and `split_ratio` are those of `vitpose`; `input_hw` is a multiple of 16.

    Raises:
      InputError: there is no such size or head.
    """
    if size not in _SIZES:
        known = list(_SIZES)
        raise InputError(f"Unknown SAM size {size!r}; known: {known}.{nearest(size, known)}")
    hw = (input_hw[0], input_hw[1])
    backbone = SAMViT(hw, *_SIZES[size], drop_path=drop_path, remat=remat, dtype=dtype)
    return PoseModel(backbone, pose_head(head, num_keypoints, hw, split_ratio, dtype))


def _timm(model: SAMViT) -> list[Rule]:
    """Rules for timm's names, which other projects' are changed to."""
    rules = [
        *layouts.dense(
            r"patch_embed\.proj", "backbone/patch_embed/projection", kernel=layouts.patches
        ),
        Rule(
            "pos_embed",
            "params/backbone/position_embedding",
            lambda array: array.reshape(-1, array.shape[-1]),
        ),
    ]
    for i in range(model.depth):
        rules += _block(rf"blocks\.{i}", f"backbone/block_{i}", model.heads)
    if not model.neck:
        return [*rules, Rule(r"neck\..+", None, reason="the neck, which this model does not have")]
    for i in range(2):
        rules += [
            Rule(rf"neck\.{2 * i}\.weight", f"params/backbone/neck_{i}/kernel", layouts.conv),
            *layouts.layer_norm(rf"neck\.{2 * i + 1}", f"backbone/neck_norm_{i}"),
        ]
    return rules


def _block(source: str, target: str, heads: int) -> list[Rule]:
    attend, out = rf"{source}\.attn", f"{target}/attention"
    return [
        *layouts.layer_norm(rf"{source}\.norm1", f"{target}/norm1"),
        *layouts.layer_norm(rf"{source}\.norm2", f"{target}/norm2"),
        *layouts.dense(
            rf"{attend}\.qkv",
            f"{out}/qkv",
            kernel=layouts.fused_qkv(heads),
            bias=layouts.fused_qkv_bias(heads),
        ),
        *layouts.dense(rf"{attend}\.proj", f"{out}/out", kernel=layouts.attention_out(heads)),
        Rule(rf"{attend}\.rel_pos_h", f"params/{out}/relative_rows"),
        Rule(rf"{attend}\.rel_pos_w", f"params/{out}/relative_columns"),
        *layouts.dense(rf"{source}\.mlp\.fc1", f"{target}/mlp/fc1"),
        *layouts.dense(rf"{source}\.mlp\.fc2", f"{target}/mlp/fc2"),
    ]


def _features(head: FeatureHead) -> list[Rule]:
    reason = "the decoder of masks, which is not used here"
    return [Rule(_REST, None, reason=reason)]


_REST = r"(prompt_encoder|mask_decoder|shared_image_embedding|head)\..+|pixel_(mean|std)"


def _format(name: str, marker: str, renames: tuple[tuple[str, str], ...]) -> Format:
    return Format(
        name=name,
        marker=marker,
        head=_REST,
        purpose="classification",
        tables={SAMViT: _timm, FeatureHead: _features},
        positions="pos_embed",
        resize=Resize(antialias=True),
        renames=renames,
    )


_MLP = (r"\.mlp\.lin(\d)\.", r".mlp.fc\1.")
_ATTENTION = r"\d+\.attn\.rel_pos_h"

SAM = Family(
    "sam",
    formats=(
        _format("timm SAM", rf"blocks\.{_ATTENTION}", ()),
        _format(
            "Segment Anything",
            rf"image_encoder\.blocks\.{_ATTENTION}",
            ((r"^image_encoder\.", ""), _MLP),
        ),
        _format(
            "Hugging Face SAM",
            rf"vision_encoder\.layers\.{_ATTENTION}",
            (
                (r"^vision_encoder\.", ""),
                (r"^layers\.", "blocks."),
                (r"^patch_embed\.projection\.", "patch_embed.proj."),
                (r"^neck\.conv1\.", "neck.0."),
                (r"^neck\.layer_norm1\.", "neck.1."),
                (r"^neck\.conv2\.", "neck.2."),
                (r"^neck\.layer_norm2\.", "neck.3."),
                (r"\.layer_norm(\d)\.", r".norm\1."),
                _MLP,
            ),
        ),
    ),
)
