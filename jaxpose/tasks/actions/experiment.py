"""Experiment on actions: a class for each clip of people's keypoints."""

import math
from dataclasses import dataclass, field

from jaxpose.codecs.clips import ClipCodec
from jaxpose.codecs.heatmap_volume import VolumeCodec
from jaxpose.data.action_dataset import ActionDataset, SyntheticActions
from jaxpose.errors import InputError
from jaxpose.losses import CrossEntropy, Loss
from jaxpose.metrics.actions import MeanClassAccuracy, TopK
from jaxpose.metrics.metric import Metric
from jaxpose.models.actions.action_model import ActionModel, VolumeModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.actions.task import ActionTask
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class ActionEvaluation(EvaluationBase):
    """Evaluation on held-out clips, with the middle frame of each part of a clip.

    Attributes:
      metrics: `TopK()`, `TopK(5)`, `MeanClassAccuracy()`, or a custom metric of
        `metrics.actions.ClassScores`.
      flip_test: average the scores of each clip and of its mirror image.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (TopK(), MeanClassAccuracy())
    flip_test: bool = False
    batch_size: int = 64
    data: ActionDataset | SyntheticActions | None = None


@dataclass(frozen=True, kw_only=True)
class ActionExperiment(Experiment):
    """Training of a classifier of actions.

    Attributes:
      skeleton: keypoints of the model; those of the data are converted to it by their names.
      classes: names of the classes in the order of the logits; those of the data must be the same.
        Empty for the data's names, which the run keeps.
      codec: frames, stream and frame of coordinates of the model's input.
      mirror: mirror clips with probability one half, with left and right exchanged.
      rotate: largest angle in degrees by which clips are turned at random: within the image, or
        about each of the three axes.
      scale: largest relative change of a clip's size at random.
      sample: draw the frames of a training clip at random, one of each of its equal parts; False
        for the middle frame of each part.
    """

    skeleton: Skeleton
    model: ActionModel | VolumeModel
    codec: ClipCodec | VolumeCodec
    train_data: ActionDataset | SyntheticActions
    eval_data: ActionDataset | SyntheticActions
    classes: tuple[str, ...] = ()
    loss: Loss = field(default_factory=CrossEntropy)
    evaluation: ActionEvaluation = field(default_factory=ActionEvaluation)
    more_evaluations: tuple[ActionEvaluation, ...] = ()
    mirror: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    sample: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        codec, count = self.codec, self.skeleton.num_keypoints
        keypoints = (
            codec.graph.num_keypoints if isinstance(codec, ClipCodec) else codec.num_keypoints
        )
        if keypoints != count:
            raise InputError(
                f"The codec is for {keypoints} keypoints, but skeleton {self.skeleton.name!r} has "
                f"{count}: give it the graph of this skeleton (`graph_of(skeleton)`)."
            )
        wanted, given = codec.input_shape, self.model.input_shape()[1:]
        if wanted != given:
            raise InputError(
                f"The codec gives inputs {list(wanted)}, but the model takes {list(given)}: "
                "frames, people, keypoints and values of a keypoint must agree."
            )
        graph = getattr(self.model.backbone, "graph", None)
        if isinstance(codec, ClipCodec) and graph is not None and graph != codec.graph:
            raise InputError(
                "The model's graph is not the codec's: its edges belong to another layout of "
                "keypoints. Use one graph for both."
            )
        if self.classes and len(self.classes) != self.model.head.num_classes:
            raise InputError(
                f"There are {len(self.classes)} classes, but the model has "
                f"{self.model.head.num_classes} logits: set model.head.num_classes."
            )
        if not 0 <= self.scale < 1 or not math.isfinite(self.rotate):
            raise InputError(f"scale must be in [0, 1), and is {self.scale}.")

    def task(self) -> ActionTask:
        return ActionTask(self)
