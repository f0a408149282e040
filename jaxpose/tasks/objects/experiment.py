"""Experiment on crops of known rigid objects."""

from dataclasses import dataclass, field
from typing import Any

from jaxpose.codecs.codec import takes_mask
from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.metrics.metric import Metric
from jaxpose.metrics.objects import ObjectAccuracy
from jaxpose.skeletons import OBJECT9, Skeleton
from jaxpose.tasks.objects.task import ObjectTask
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.evaluation import EvaluationBase


@dataclass(frozen=True, kw_only=True)
class ObjectEvaluation(EvaluationBase):
    """Evaluation of poses on held-out images, with the boxes of the dataset and no flip test.

    Attributes:
      metrics: `ObjectAccuracy()`, or a custom metric of `metrics.objects.ObjectEstimates`.
      examples: number of images drawn with their poses, the first ones of the dataset.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (ObjectAccuracy(),)
    flip_test: bool = False
    examples: int = 8
    data: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class ObjectExperiment(TopDownExperiment):
    """Training of a model that finds the keypoints of one object in a crop.

    One network for all objects of a dataset: keypoint k is the k-th of the object that is in the
    crop. Codecs of heatmaps and SimCC train as for people; `codecs.FieldVoting` needs masks.

    Attributes:
      train_data, eval_data: `objects.drawn_scenes.SyntheticObjects` or `objects.bop.BopObjects`.
      augmentation: of the crops; a mirrored object is another one, so there is no flip.
      threshold: largest distance of a keypoint from the pose that it agrees with, in longer sides
        of the object's box.
    """

    skeleton: Skeleton = OBJECT9
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            flip=0.0, rotation_degrees=15.0, scale=0.15, shift=0.05, half_body=0.0
        )
    )
    evaluation: ObjectEvaluation = field(default_factory=ObjectEvaluation)  # type: ignore[assignment]
    more_evaluations: tuple[ObjectEvaluation, ...] = ()  # type: ignore[assignment]
    threshold: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.augmentation.flip or self.augmentation.half_body:
            raise InputError(
                "augmentation.flip and half_body must be 0: a mirrored object is another one, and "
                "an object has no halves."
            )
        if self.evaluation.flip_test:
            raise InputError(
                "evaluation.flip_test must be False: a mirrored object is another one."
            )
        if not self.threshold > 0:
            raise InputError(f"threshold must be positive, and is {self.threshold}.")

    def device_keys(self, data: Any) -> tuple[str, ...]:
        """Names of the arrays of a batch that the device needs, with the mask for vector fields."""
        keys = super().device_keys(data)
        return (*keys, "object_mask") if takes_mask(self.codec) else keys

    def task(self) -> ObjectTask:
        return ObjectTask(self)
