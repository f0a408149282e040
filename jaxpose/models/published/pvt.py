"""Pyramid vision transformers with heatmaps, and their conversion tables."""

from functools import partial

import numpy as np

from jaxpose import skeletons
from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.pvt import PVT

__all__ = ["PVT", "PVT_FAMILY", "pvt"]

# arXiv:2102.12122, table 1.
_DEPTHS = {"Ti": (2, 2, 2, 2), "S": (3, 4, 6, 3), "M": (3, 4, 18, 3), "L": (3, 8, 27, 3)}


def pvt(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """PVT (Wang et al. 2021, arXiv:2102.12122) of `size` Ti, S, M or L with three deconvolutions.

    Heatmaps of `input_hw / 4`; `input_hw` is a multiple of 32.

    Raises:
      InputError: there is no such size.
    """
    if size not in _DEPTHS:
        known = list(_DEPTHS)
        raise InputError(f"Unknown PVT size {size!r}; known: {known}.{nearest(size, known)}")
    hw = (input_hw[0], input_hw[1])
    backbone = PVT(hw, _DEPTHS[size], drop_path=drop_path, remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype))


def _mmpose(model: PVT) -> list[Rule]:
    """Rules for MMPose's PyramidVisionTransformer, whose MLPs are 1x1 convolutions."""
    rules, number = [], 0
    for stage, depth in enumerate(model.depths):
        layer, first = rf"backbone\.layers\.{stage}", f"backbone/block_{number}"
        rules += [
            *layouts.dense(
                rf"{layer}\.0\.projection", f"{first}/embed/projection", "", layouts.patches
            ),
            *layouts.layer_norm(rf"{layer}\.0\.norm", f"{first}/embed_norm"),
            Rule(
                rf"{layer}\.1\.0\.pos_embed",
                f"params/{first}/position_embedding",
                lambda x: x.squeeze(0),
            ),
        ]
        for i in range(depth):
            source, target = rf"{layer}\.1\.{i + 1}", f"backbone/block_{number}"
            rules += _block(source, target, model.heads[stage])
            number += 1
    return rules


def _block(source: str, target: str, heads: int) -> list[Rule]:
    attend, out = rf"{source}\.attn\.attn", f"{target}/attention"
    return [
        *layouts.layer_norm(rf"{source}\.norm1", f"{target}/norm1"),
        *layouts.layer_norm(rf"{source}\.norm2", f"{target}/norm2"),
        Rule(rf"{attend}\.in_proj_weight", f"params/{out}/qkv/kernel", layouts.fused_qkv(heads)),
        Rule(rf"{attend}\.in_proj_bias", f"params/{out}/qkv/bias", layouts.fused_qkv_bias(heads)),
        *layouts.dense(rf"{attend}\.out_proj", f"{out}/out", kernel=layouts.attention_out(heads)),
        *layouts.dense(rf"{source}\.attn\.sr", f"{out}/reduce/projection", kernel=layouts.patches),
        *layouts.layer_norm(rf"{source}\.attn\.norm", f"{out}/norm"),
        *layouts.dense(rf"{source}\.ffn\.layers\.0", f"{target}/mlp/fc1", kernel=_matrix),
        *layouts.dense(rf"{source}\.ffn\.layers\.3", f"{target}/mlp/fc2", kernel=_matrix),
    ]


def _matrix(weight: np.ndarray) -> np.ndarray:
    """1x1 convolution `[out, in, 1, 1]` -> `[in, out]`."""
    return layouts.linear(weight[:, :, 0, 0])


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
PVT_FAMILY = Family(
    "pvt",
    mmpose={PVT: _mmpose},
    published=(
        PublishedPose(
            name="pvt-s",
            make=partial(pvt, "S"),
            codec=msra,
            skeleton=skeletons.COCO17,
            score="AP 71.4",
            source="MMPose 1.x model zoo, pvt_coco",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(
                f"{OPENMMLAB}/top_down/pvt/pvt_small_coco_256x192-4324a49d_20220501.pth", "4324a49d"
            ),
        ),
    ),
)
