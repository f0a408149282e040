"""Classifiers of actions from skeletons over time."""

from functools import partial

from jaxpose.codecs.clips import ClipCodec
from jaxpose.codecs.heatmap_volume import VolumeCodec
from jaxpose.models.actions.action_model import ActionHead, ActionModel, MotionHead, VolumeModel
from jaxpose.models.actions.graph_network import GraphNetwork
from jaxpose.models.actions.slow_only import SlowOnly
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.published import action_tables
from jaxpose.models.published.record import APACHE, Family, PublishedAction
from jaxpose.skeletons import COCO17, H36M17, NTU25, OPENPOSE18
from jaxpose.skeletons.graph import NTU25_GRAPH, OPENPOSE18_GRAPH, SkeletonGraph, graph_of

__all__ = [
    "ACTIONS",
    "agcn",
    "ctrgcn",
    "motionbert_action",
    "posec3d",
    "stgcn",
    "stgcnpp",
]


def stgcn(
    num_classes: int,
    graph: SkeletonGraph = NTU25_GRAPH,
    *,
    in_features: int = 3,
    people: int = 2,
    frames: int = 300,
    units: tuple[int, ...] = (4, 3, 3),
    width: int = 64,
    dropout: float = 0.0,
    dtype: str = "float32",
) -> ActionModel:
    """ST-GCN (Yan et al. 2018, arXiv:1801.07455), with the spatial partition and edge weights."""
    backbone = GraphNetwork(
        graph, in_features, units=units, width=width, dropout=dropout, dtype=dtype
    )
    return ActionModel(backbone, ActionHead(num_classes, dtype=dtype), people, frames)


def agcn(
    num_classes: int,
    graph: SkeletonGraph = NTU25_GRAPH,
    *,
    in_features: int = 3,
    people: int = 2,
    frames: int = 300,
    units: tuple[int, ...] = (4, 3, 3),
    width: int = 64,
    dtype: str = "float32",
) -> ActionModel:
    """One stream of 2s-AGCN (Shi et al. 2019, arXiv:1805.07694)."""
    backbone = GraphNetwork(
        graph, in_features, "attention", norm_people=people, units=units, width=width, dtype=dtype
    )
    return ActionModel(backbone, ActionHead(num_classes, dtype=dtype), people, frames)


def ctrgcn(
    num_classes: int,
    graph: SkeletonGraph = NTU25_GRAPH,
    *,
    in_features: int = 3,
    people: int = 2,
    frames: int = 64,
    units: tuple[int, ...] = (4, 3, 3),
    width: int = 64,
    dtype: str = "float32",
) -> ActionModel:
    """One stream of CTR-GCN (Chen et al. 2021, arXiv:2107.12213)."""
    backbone = GraphNetwork(
        graph,
        in_features,
        "channels",
        "two scales",
        norm_people=people,
        units=units,
        width=width,
        dtype=dtype,
    )
    return ActionModel(backbone, ActionHead(num_classes, dtype=dtype), people, frames)


def stgcnpp(
    num_classes: int,
    graph: SkeletonGraph = NTU25_GRAPH,
    *,
    in_features: int = 3,
    people: int = 2,
    frames: int = 100,
    units: tuple[int, ...] = (4, 3, 3),
    width: int = 64,
    dtype: str = "float32",
) -> ActionModel:
    """One stream of ST-GCN++ (Duan et al. 2022, arXiv:2205.09443)."""
    backbone = GraphNetwork(
        graph, in_features, "learned", "four scales", units=units, width=width, dtype=dtype
    )
    return ActionModel(backbone, ActionHead(num_classes, dtype=dtype), people, frames)


def posec3d(
    num_classes: int,
    in_features: int = 17,
    *,
    frames: int = 48,
    volume_hw: tuple[int, int] = (56, 56),
    width: int = 32,
    blocks: tuple[int, ...] = (4, 6, 3),
    dropout: float = 0.5,
    dtype: str = "float32",
) -> VolumeModel:
    """PoseC3D with SlowOnly-R50 on volumes of heatmaps (Duan et al. 2022, arXiv:2104.13586)."""
    backbone = SlowOnly(in_features, width, blocks, dtype=dtype)
    return VolumeModel(backbone, ActionHead(num_classes, dropout, dtype), frames, volume_hw)


def motionbert_action(
    num_classes: int,
    num_keypoints: int = 17,
    *,
    people: int = 2,
    frames: int = 243,
    dim: int = 256,
    depth: int = 5,
    mlp_ratio: float = 4.0,
    hidden: int = 2048,
    drop_path: float = 0.0,
    dropout: float = 0.0,
    dtype: str = "float32",
) -> ActionModel:
    """MotionBERT's classifier of actions (Zhu et al. 2023, arXiv:2210.06551, section 3.4)."""
    backbone = DSTFormer(
        num_keypoints,
        frames=frames,
        dim=dim,
        depth=depth,
        mlp_ratio=mlp_ratio,
        drop_path=drop_path,
        dtype=dtype,
    )
    head = MotionHead(num_classes, hidden=hidden, dropout=dropout, dtype=dtype)
    return ActionModel(backbone, head, people, frames)


_NTU60 = ("NTU RGB+D",)
_HALVES = (
    "It takes keypoints from the middle of the image in whole widths and heights, which no codec "
    "here does: load the weights with jaxpose.convert.load_pretrained."
)


def _turned(frames: int) -> ClipCodec:
    """Codec of joints that are turned until the spine is upright and the shoulders are along x."""
    return ClipCodec(NTU25_GRAPH, frames, dimensions=3, frame="upright", root=1, axes=(0, 1, 8, 4))


ACTIONS = Family(
    "actions",
    formats=action_tables.FORMATS,
    published=(
        PublishedAction(
            name="stgcn-ntu60",
            make=stgcn,
            num_classes=60,
            frames=300,
            codec=ClipCodec(NTU25_GRAPH, 300, dimensions=3, frame="none"),
            skeleton=NTU25,
            score="top-1 81.5",
            source="arXiv:1801.07455, table 3, X-Sub",
            trained_on=_NTU60,
            golden=("stgcn_ntu",),
        ),
        PublishedAction(
            name="stgcn-kinetics",
            make=partial(stgcn, graph=OPENPOSE18_GRAPH, frames=150),
            num_classes=400,
            frames=150,
            num_keypoints=18,
            skeleton=OPENPOSE18,
            limit=_HALVES,
            score="top-1 30.7, top-5 52.8",
            source="arXiv:1801.07455, table 2",
            trained_on=("Kinetics-skeleton",),
            golden=("stgcn_openpose",),
        ),
        PublishedAction(
            name="agcn-ntu60",
            make=agcn,
            num_classes=60,
            frames=300,
            codec=_turned(300),
            skeleton=NTU25,
            source="2s-AGCN's repository, one stream of joints or bones",
            trained_on=_NTU60,
            golden=("agcn_ntu",),
        ),
        PublishedAction(
            name="ctrgcn-ntu60",
            make=ctrgcn,
            num_classes=60,
            frames=64,
            codec=ClipCodec(NTU25_GRAPH, 64, dimensions=3, frame="root", root=1),
            skeleton=NTU25,
            parameters=1.46,
            source="arXiv:2107.12213, one stream",
            trained_on=_NTU60,
            golden=("ctrgcn_ntu",),
        ),
        PublishedAction(
            name="stgcnpp-ntu60",
            make=stgcnpp,
            num_classes=60,
            frames=100,
            codec=_turned(100),
            skeleton=NTU25,
            source="PYSKL's and MMAction2's model zoos, one stream",
            licence=APACHE,
            trained_on=_NTU60,
            golden=("stgcnpp_ntu",),
        ),
        PublishedAction(
            name="posec3d-ntu60",
            make=posec3d,
            num_classes=60,
            frames=48,
            codec=VolumeCodec(),
            num_keypoints=17,
            skeleton=COCO17,
            parameters=2.0,
            source="PYSKL's and MMAction2's model zoos, keypoints, X-Sub",
            licence=APACHE,
            trained_on=_NTU60,
            golden=("posec3d_slowonly_r50",),
        ),
        PublishedAction(
            name="motionbert-action-ntu60",
            make=motionbert_action,
            num_classes=60,
            frames=243,
            codec=ClipCodec(graph_of(H36M17), 243, confidence=True),
            num_keypoints=17,
            skeleton=H36M17,
            source="MotionBERT's repository",
            trained_on=_NTU60,
            golden=("official_motionbert_action",),
        ),
    ),
)
