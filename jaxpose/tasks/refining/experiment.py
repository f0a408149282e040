"""Experiment on 2D tracks: better keypoints from corrupted ones."""

from dataclasses import dataclass, field

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.data.motion_dataset import MotionDataset, SyntheticMotion
from jaxpose.errors import InputError
from jaxpose.losses import MPJPE, Acceleration, Loss, WeightedSum
from jaxpose.metrics.metric import Metric, check_metrics
from jaxpose.metrics.track_error import TrackError
from jaxpose.models.track_refiner import Refiner
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.refining.corruption import Corruption
from jaxpose.tasks.refining.task import RefiningTask
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class RefiningEvaluation(EvaluationBase):
    """Evaluation on whole held-out tracks, with the same faults at each evaluation.

    Attributes:
      metrics: `TrackError()`, or custom ones of 2D keypoints.
      corruption: faults of the evaluated tracks, of which `short` is not used.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (TrackError(),)
    corruption: Corruption = field(default_factory=lambda: Corruption(noise=(0.015, 0.015)))
    data: MotionDataset | SyntheticMotion | None = None


@dataclass(frozen=True, kw_only=True)
class RefiningExperiment(Experiment):
    """Training of a refiner on motion whose keypoints are corrupted at random.

    Attributes:
      codec: frames of a window and their rates. Each window gets a random rate in the range of
        `codec.fps`, at most that of the data.
      corruption: faults of the training.
      mirror: mirror windows with probability one half, with left and right exchanged.
      turn: largest angle in degrees by which windows are turned in the image at random.
    """

    skeleton: Skeleton
    model: Refiner
    codec: TrackCodec
    train_data: MotionDataset | SyntheticMotion
    eval_data: MotionDataset | SyntheticMotion
    loss: Loss = field(default_factory=lambda: WeightedSum((MPJPE(), Acceleration()), (1.0, 0.3)))
    corruption: Corruption = field(default_factory=Corruption)
    evaluation: RefiningEvaluation = field(default_factory=RefiningEvaluation)
    more_evaluations: tuple[RefiningEvaluation, ...] = ()
    mirror: bool = True
    turn: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        backbone, count = self.model.backbone, self.skeleton.num_keypoints
        if backbone.frames != self.codec.frames:
            raise InputError(
                f"model.backbone.frames is {backbone.frames}, but must be codec.frames, "
                f"{self.codec.frames}."
            )
        if backbone.num_keypoints not in (None, count):
            raise InputError(
                f"model.backbone.num_keypoints is {backbone.num_keypoints}, but must be {count} "
                f"for skeleton {self.skeleton.name!r}."
            )
        for evaluation in (self.evaluation, *self.more_evaluations):
            check_metrics(evaluation.metrics, self.skeleton, dimensions=2)

    def task(self) -> RefiningTask:
        return RefiningTask(self)
