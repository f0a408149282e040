"""Models that recover a body's or a hand's mesh: HMR 2.0 and HaMeR."""

import flax.linen as nn
import numpy as np

from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule, Transform
from jaxpose.models.mesh_head import SMPL_FACING, MeshHead
from jaxpose.models.published.record import Family, PublishedMesh
from jaxpose.models.published.vit_tables import official_vitpose
from jaxpose.models.published.vitpose import vitpose
from jaxpose.models.vit import ViT

__all__ = ["MESH", "MeshHead", "hamer", "hmr2"]


def hmr2(size: str = "H", joints: int = 24, *, drop_path: float = 0.0) -> PoseModel:
    """HMR 2.0 (Goel et al. 2023, arXiv:2305.20091): SMPL from a crop of 256 x 192.

    The published model has ViT-H and the 24 joints of SMPL; the crop is the middle of a square.
    """
    return PoseModel(_backbone(size, drop_path), MeshHead(joints, facing=SMPL_FACING))


def hamer(size: str = "H", *, drop_path: float = 0.0) -> PoseModel:
    """HaMeR (Pavlakos et al. 2024, arXiv:2312.05251): MANO from a crop of 256 x 192.

    Right hands; the image of a left hand is mirrored.
    """
    return PoseModel(_backbone(size, drop_path), MeshHead(16))


def _backbone(size: str, drop_path: float) -> nn.Module:
    """ViT of ViTPose for crops of 256 x 192."""
    backbone: nn.Module = vitpose(size, input_hw=(256, 192), drop_path=drop_path).backbone
    return backbone


def _last(array: np.ndarray) -> np.ndarray:
    """`[1, ..., D]` -> `[D]`."""
    return array.reshape(-1)


def _head(head: MeshHead) -> list[Rule]:
    """Rules for the head's decoder; 8 heads share the projections."""
    source, target = r"head\.transformer\.transformer\.layers\.(?P<i>\d+)", "head/layer_{i}"
    heads = head.heads

    def split(number: int) -> Transform:
        """`[number * F, D]` -> `[D, number, heads, F / heads]`."""
        return lambda w: w.T.reshape(w.shape[1], number, heads, -1)

    def single(weight: np.ndarray) -> np.ndarray:
        """`[F, D]` -> `[D, heads, F / heads]`."""
        return weight.T.reshape(weight.shape[1], heads, -1)

    def joined(weight: np.ndarray) -> np.ndarray:
        """`[D, F]` -> `[heads, F / heads, D]`."""
        return weight.T.reshape(heads, -1, weight.shape[0])

    rules = [
        # The token that enters is zero: the embedding's bias and the position are the query.
        Rule(r"head\.transformer\.to_token_embedding\.weight", None, reason="it is times zero"),
        Rule(r"head\.query", "params/head/query"),
        Rule(rf"{source}\.0\.fn\.to_qkv\.weight", f"params/{target}/self_qkv/kernel", split(3)),
        Rule(rf"{source}\.1\.fn\.to_q\.weight", f"params/{target}/query/kernel", single),
        Rule(rf"{source}\.1\.fn\.to_kv\.weight", f"params/{target}/key_value/kernel", split(2)),
        *layouts.dense(rf"{source}\.0\.fn\.to_out\.0", f"{target}/self_out", kernel=joined),
        *layouts.dense(rf"{source}\.1\.fn\.to_out\.0", f"{target}/cross_out", kernel=joined),
        *layouts.dense(rf"{source}\.2\.fn\.net\.0", f"{target}/mlp/fc1"),
        *layouts.dense(rf"{source}\.2\.fn\.net\.3", f"{target}/mlp/fc2"),
        Rule(r"head\.init_(body|hand)_pose", "params/head/mean_pose", _last),
        Rule(r"head\.init_betas", "params/head/mean_shape", _last),
        Rule(r"head\.init_cam", "params/head/mean_camera", _last),
        *layouts.dense(r"head\.decpose", "head/pose"),
        *layouts.dense(r"head\.decshape", "head/shape"),
        *layouts.dense(r"head\.deccam", "head/camera"),
    ]
    for number in range(3):
        rules += layouts.layer_norm(rf"{source}\.{number}\.norm", f"{target}/norm{number + 1}")
    return rules


def _with_query(state_dict: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Adds the embedding's bias and the position of the only token, which are both constant."""
    names = "head.transformer.to_token_embedding.bias", "head.transformer.pos_embedding"
    if not all(name in state_dict for name in names):
        return state_dict
    rest = {key: value for key, value in state_dict.items() if key not in names}
    bias, position = (np.asarray(state_dict[name]) for name in names)
    return rest | {"head.query": bias + _last(position)}


MESH = Family(
    "mesh",
    formats=(
        Format(
            name="4D-Humans or HaMeR",
            marker=r"(smpl|mano)_head\.decpose\.weight",
            head=r"head\..+",
            purpose="meshes",
            tables={ViT: official_vitpose, MeshHead: _head},
            positions="backbone.pos_embed",
            class_slot="added",
            renames=((r"^(smpl|mano)_head\.", "head."),),
            unpack=_with_query,
            rules=(
                Rule(r"(smpl|mano)\..+", None, reason="the body model's own arrays"),
                Rule(r"discriminator\..+", None, reason="the critic of the training"),
            ),
        ),
    ),
    published=(
        PublishedMesh(
            name="hmr2",
            make=hmr2,
            body="smpl",
            source="Goel et al. 2023, arXiv:2305.20091",
        ),
        PublishedMesh(
            name="hamer",
            make=hamer,
            body="mano",
            padding=2.0,
            source="Pavlakos et al. 2024, arXiv:2312.05251",
        ),
    ),
)
