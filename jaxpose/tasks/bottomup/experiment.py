"""Experiment on whole images, each with the keypoints of all its people."""

from dataclasses import dataclass, field

from jaxpose.codecs.codec import ImageCodec
from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.metrics.metric import Metric, check_metrics
from jaxpose.metrics.oks import CocoAP
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.mix import ImageMix
from jaxpose.tasks.bottomup.task import BottomUpTask
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Evaluation(EvaluationBase):
    """Schedule and metrics for the evaluation on held-out images; see `EvaluationBase`.

    Attributes:
      metrics: metrics with `whole_images`: `CocoAP()`, `CrowdPoseAP()`, `WholeBodyAP()`.
      examples: number of first images that are drawn with estimates beside the truth.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (CocoAP(),)
    batch_size: int = 16
    examples: int = 4
    data: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class BottomUpExperiment(Experiment):
    """Training of a model that finds the keypoints of all people in an image.

    Attributes:
      skeleton: the keypoints.
      codec: encodes people as targets, and decodes the model's outputs.
      train_data: source of whole images for training, such as `Images` and `SyntheticScenes`.
      eval_data: source of whole images for the evaluation.
      mix: mixture of several training images, for one-stage models; None for single ones.
      resident: keep the whole training set as uint8 images in device memory.
    """

    skeleton: Skeleton
    model: PoseModel
    codec: ImageCodec
    train_data: Dataset
    eval_data: Dataset
    augmentation: ImageAugmentation = field(default_factory=ImageAugmentation)
    mix: ImageMix | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)
    more_evaluations: tuple[Evaluation, ...] = ()
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        outputs = self.model.head.num_keypoints
        if outputs != self.skeleton.num_keypoints:
            raise InputError(
                f"model.head.num_keypoints is {outputs}, but skeleton {self.skeleton.name!r} has "
                f"{self.skeleton.num_keypoints} keypoints. Set them to the same number."
            )
        of_loss = getattr(self.loss, "codec", self.codec)
        if of_loss != self.codec:
            raise InputError(
                "loss.codec decodes the proposals that the loss compares, and must be the same as "
                f"codec: it is {of_loss}, and codec is {self.codec}."
            )
        for evaluation in (self.evaluation, *self.more_evaluations):
            check_metrics(evaluation.metrics, self.skeleton, dimensions=2)
            for metric in evaluation.metrics:
                if not metric.whole_images:
                    raise InputError(
                        f"{type(metric).__name__} scores people in given boxes, but this task "
                        "finds people in whole images. Use CocoAP() or another metric with "
                        "`whole_images`."
                    )

    def task(self) -> BottomUpTask:
        return BottomUpTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the model's images in pixels."""
        return self.codec.input_hw
