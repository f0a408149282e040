"""Recipes of every kind of model for many people, small enough to train in seconds.

`EXPERIMENTS[name]()` is the recipe; a recipe file of a test imports it by name.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn

from jaxpose.codecs import (
    AssociativeEmbedding,
    CompositeFields,
    Displacements,
    InstanceHeatmaps,
    OneStage,
)
from jaxpose.codecs.part_affinity import fields_of
from jaxpose.codecs.queries import PeopleQueries
from jaxpose.data.source import SyntheticScenes
from jaxpose.losses import (
    AssociativeEmbeddingLoss,
    CompositeFieldLoss,
    DisplacementLoss,
    InstanceHeatmapLoss,
    PartAffinityLoss,
    StageSum,
)
from jaxpose.losses.one_stage import OneStageLoss
from jaxpose.losses.simota import SimOTA
from jaxpose.models.build import PoseModel
from jaxpose.models.cid import CIDHead, CIDModel
from jaxpose.models.composite_fields import CompositeFieldHead
from jaxpose.models.darknet import yolox_style
from jaxpose.models.dekr import DEKRHead
from jaxpose.models.edpose import ChannelMapper, EDPoseHead
from jaxpose.models.higher_hrnet import HigherHRNetHead
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.one_stage import OneStageModel, RTMOHead, YOLOXPoseHead
from jaxpose.models.openpose import OpenPoseHead
from jaxpose.models.published.yolo import yolo_codec, yolo_pose
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.resnet import ResNet
from jaxpose.models.shufflenetv2 import ShuffleNetV2
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.tasks.bottomup.mix import ImageMix
from jaxpose.train.optimizers import AdamW

SIZE = (64, 64)
SIGMAS = tuple(COCO17.sigmas)


class Trunk(nn.Module):
    """Five convolutions of stride 2, for maps of the strides 16 and 32."""

    @nn.compact
    def __call__(self, images: Any, train: bool = False) -> Any:
        x, maps = images / 128, []
        for i, width in enumerate((16, 32, 32, 64, 64)):
            x = nn.silu(nn.Conv(width, (3, 3), 2, name=f"conv_{i}")(x))
            maps.append(x)
        return tuple(maps[3:])


class Same(nn.Module):
    """No neck."""

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> Any:
        return maps


def pyramid(patch: int) -> Pyramid:
    """A backbone of two blocks whose maps have the stride `patch`."""
    return Pyramid(patch=patch, widths=(16, 32), depths=(1, 1), path_width=16)


def experiment(model: Any, codec: Any, loss: Any, **changes: Any) -> BottomUpExperiment:
    """A few steps on eight drawn scenes of up to two people."""
    data = SyntheticScenes(8, 0, SIZE, people=2)
    settings: dict[str, Any] = {
        "augmentation": ImageAugmentation(),
        "evaluation": Evaluation(every=100, batch_size=8),
        "optimizer": AdamW(learning_rate=1e-3, schedule="constant"),
        "steps": 2,
        "batch_size": 8,
    }
    return BottomUpExperiment(
        skeleton=COCO17,
        model=model,
        codec=codec,
        loss=loss,
        train_data=data,
        eval_data=data,
        **settings | changes,
    )


def paf() -> BottomUpExperiment:
    """OpenPose: maps, and fields of limbs."""
    codec = fields_of(COCO17, SIZE, max_people=3, candidates=4)
    limbs = len(codec.limbs)
    head = OpenPoseHead(17, limbs, stages=2, background=True)
    return experiment(PoseModel(pyramid(8), head), codec, StageSum(PartAffinityLoss(limbs)))


def higher_hrnet() -> BottomUpExperiment:
    """HigherHRNet: maps of two sizes, and tags."""
    codec = AssociativeEmbedding(SIZE, higher=True, enlargement=1, max_people=3, candidates=4)
    model = PoseModel(pyramid(4), HigherHRNetHead(17, blocks=1))
    return experiment(model, codec, AssociativeEmbeddingLoss())


def dekr() -> BottomUpExperiment:
    """DEKR: maps, and displacements from the centres."""
    codec = Displacements(SIZE, max_people=3)
    return experiment(PoseModel(pyramid(4), DEKRHead(17)), codec, DisplacementLoss())


def cid() -> BottomUpExperiment:
    """CID: maps of each person."""
    codec = InstanceHeatmaps(SIZE, max_people=3)
    model = CIDModel(pyramid(4), CIDHead(17, max_people=3))
    return experiment(model, codec, InstanceHeatmapLoss())


def pifpaf() -> BottomUpExperiment:
    """OpenPifPaf: composite fields, decoded on the host."""
    codec = CompositeFields((65, 65), max_people=3)
    backbone = ShuffleNetV2((1, 1, 1), (16, 32, 32, 32))
    model = PoseModel(backbone, CompositeFieldHead(17, len(codec.pairs)))
    return experiment(model, codec, CompositeFieldLoss())


def rtmo() -> BottomUpExperiment:
    """RTMO: proposals with classified coordinates."""
    codec = OneStage(SIZE, strides=(16, 32), origin="pixels", threshold=1e-6, max_people=3)
    head = RTMOHead(17, 16, 4, 32, 16, (16, 16), style=yolox_style(False, "float32"))
    loss = OneStageLoss(codec, SIGMAS, SimOTA(keypoint_center=True), normalised=False)
    return experiment(OneStageModel(Trunk(), head, Same()), codec, loss, mix=ImageMix())


def yolox_pose() -> BottomUpExperiment:
    """YOLOX-Pose: proposals with vectors to the keypoints."""
    codec = OneStage(SIZE, strides=(16, 32), threshold=1e-6, max_people=3)
    head = YOLOXPoseHead(17, 16, yolox_style(False, "float32"))
    return experiment(OneStageModel(Trunk(), head, Same()), codec, OneStageLoss(codec, SIGMAS))


EXPERIMENTS: dict[str, Callable[[], BottomUpExperiment]] = {
    make.__name__: make for make in (paf, pifpaf, higher_hrnet, dekr, cid, rtmo, yolox_pose)
}


def yolo(version: Any) -> BottomUpEstimator:
    """YOLO-pose of size n."""
    codec = replace(yolo_codec(SIZE, version), threshold=1e-6, max_people=3)
    return BottomUpEstimator(yolo_pose(version, "n"), codec, COCO17)


def edpose() -> BottomUpEstimator:
    """ED-Pose on a ResNet of few channels, with few queries."""
    backbone = ResNet((1, 1, 1, 1), width=8, outputs=(1, 2, 3))
    head = EDPoseHead(17, queries=12, people=4)
    model = OneStageModel(backbone, head, ChannelMapper(64), IMAGENET_RGB)
    return BottomUpEstimator(model, PeopleQueries(SIZE, max_people=3, threshold=1e-6), COCO17)


YOLO = {f"yolo{version}": partial(yolo, version) for version in ("8", "11", "26")}
QUERIES = {"edpose": edpose}
UNTRAINED: dict[str, Callable[[], BottomUpEstimator]] = {**YOLO, **QUERIES}
"""Models that cannot be trained here; `UNTRAINED[name]()` is what predicts."""


def estimator(name: str) -> Any:
    """Predictor of the model `name` of `EXPERIMENTS` or `UNTRAINED`."""
    if name in UNTRAINED:
        return UNTRAINED[name]()
    recipe = EXPERIMENTS[name]()
    return BottomUpEstimator(recipe.model, recipe.codec, recipe.skeleton)
