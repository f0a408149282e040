"""Experiment on motion: 3D joints from 2D keypoints."""

from dataclasses import InitVar, dataclass, field
from typing import Literal

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.errors import InputError
from jaxpose.metrics.joint_error import MPJPE, PMPJPE
from jaxpose.metrics.metric import Metric, check_metrics
from jaxpose.models.lifting.lifter import Lifter, PoseAndTrajectory
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.lifting.task import LiftingTask
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class LiftingEvaluation(EvaluationBase):
    """Evaluation on held-out frames, by subject and action, in mm about the root.

    Attributes:
      metrics: those of `jaxpose.metrics`, or custom ones: `MPJPE()`, `PMPJPE()` after the best
        similarity transform of each pose, `NMPJPE()` after the best scale, `MPJVE()` of velocities,
        `PCK3D(150)`, `AUC3D()`.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (MPJPE(), PMPJPE())
    batch_size: int = 1024
    data: MotionDataset | None = None
    # A key of version 0.1.0.
    metric: InitVar[str | None] = None

    def __post_init__(self, metric: str | None) -> None:
        self._take_old_metric(metric)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class LiftingExperiment(Experiment):
    """Training of a lifter: 2D keypoints of a window of frames to 3D joints."""

    skeleton: Skeleton

    model: Lifter | PoseAndTrajectory
    codec: LiftingCodec
    train_data: MotionDataset
    eval_data: MotionDataset
    evaluation: LiftingEvaluation = field(default_factory=LiftingEvaluation)
    more_evaluations: tuple[LiftingEvaluation, ...] = ()
    # Mirror windows with probability one half, with left and right exchanged.
    mirror: bool = True
    # Arrays that are standardised per joint by statistics of the training set, which the run keeps.
    standardise: Literal["none", "inputs", "both"] = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codec.frame not in ("screen", "image plane"):
            raise InputError(
                f"Lifters are trained on the screen or the image plane, not on "
                f"{self.codec.frame!r}: set codec.frame."
            )
        number, codec, lifter = self.skeleton.num_keypoints, self.codec, self.lifter
        if lifter is not self.model and (
            codec.frame != "image plane" or codec.drop_root or self.standardise == "both"
        ):
            raise InputError(
                "A lifter with a trajectory is trained by the projection of its joints, so it "
                "needs codec.frame 'image plane', codec.drop_root False and standardise 'inputs' "
                "or 'none'."
            )
        outputs = number - codec.drop_root
        given = {
            "model.backbone.num_keypoints": (lifter.backbone.num_keypoints, number),
            "model.backbone.in_features": (
                lifter.backbone.in_features,
                3 if codec.confidence else 2,
            ),
            "model.head.num_keypoints": (lifter.head.num_keypoints, outputs),
            "codec.num_keypoints": (codec.num_keypoints, number),
        }
        for name, (value, wanted) in given.items():
            if value != wanted:
                raise InputError(
                    f"{name} is {value}, but must be {wanted} for skeleton "
                    f"{self.skeleton.name!r} and this codec."
                )

        for evaluation in (self.evaluation, *self.more_evaluations):
            check_metrics(evaluation.metrics, self.skeleton, dimensions=3)

    @property
    def lifter(self) -> Lifter:
        """Lifter of poses: the model, or its part without the trajectory."""
        return self.model if isinstance(self.model, Lifter) else self.model.pose

    def task(self) -> LiftingTask:
        return LiftingTask(self)
