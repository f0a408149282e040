"""An experiment on crops: the keypoints of one person in each."""

from dataclasses import InitVar, dataclass, field
from typing import Any

from jaxpose.codecs.codec import Codec
from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.metrics.metric import Metric, check_metrics
from jaxpose.metrics.oks import CocoAP
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.device_batches import DEVICE_KEYS
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Evaluation(EvaluationBase):
    """When and how held-out people are scored; see `EvaluationBase`.

    Attributes:
      metrics: of `jaxpose.metrics`, or your own: `CocoAP()` (the skeleton must have sigmas),
        `PCK(0.2)` of the torso, `PCKh(0.5)` of the head's size, `AUC()`, `EPE()` in px, `NME()`,
        `WholeBodyAP()` (133 keypoints), `CrowdPoseAP()`.
      examples: the first people of the dataset, and as many of the worst, that are drawn with
        their estimates.
      data: another dataset than the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (CocoAP(),)
    examples: int = 8
    data: Dataset | None = None
    # Keys of version 0.1.0.
    metric: InitVar[str | None] = None
    pictures: InitVar[int | None] = None

    def __post_init__(self, metric: str | None, pictures: int | None) -> None:
        self._take_old_metric(metric)
        if pictures is not None:
            object.__setattr__(self, "examples", pictures)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class TopDownExperiment(Experiment):
    """Training of a model that finds the keypoints of one person in a crop."""

    skeleton: Skeleton

    model: PoseModel | DistillationModel
    codec: Codec
    train_data: Dataset
    eval_data: Dataset
    augmentation: Augmentation = field(default_factory=Augmentation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    more_evaluations: tuple[Evaluation, ...] = ()
    # Box size times this is what the model sees. 1.25 is the published choice; keypoints labelled
    # further out are lost to it, and a canvas holds up to 1.875.
    padding: float = 1.25
    # The whole training set as uint8 canvases in device memory instead of a stream from the host.
    resident: bool = False
    # The weights of the teacher of a `DistillationModel`: a release folder or a state dict.
    teacher_from: str | None = None
    # A release whose knowledge token the model takes over (ViTPose, arXiv:2204.12484, section 3.3).
    knowledge_from: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.padding <= 1.875:
            raise InputError(f"padding must be in [1, 1.875], and is {self.padding}.")
        if isinstance(self.model, DistillationModel) != (self.teacher_from is not None):
            raise InputError(
                "teacher_from names the weights of the teacher of a DistillationModel: set both or "
                "none."
            )
        if self.knowledge_from is not None and not (
            isinstance(self.model, PoseModel)
            and getattr(self.model.backbone, "knowledge_token", 0) > 0
        ):
            raise InputError(
                "knowledge_from is for a ViT with model.backbone.knowledge_token set to the width "
                "of the teacher."
            )
        outputs = self.model.head.num_keypoints
        if outputs != self.skeleton.num_keypoints:
            raise InputError(
                f"model.head.num_keypoints is {outputs}, but skeleton {self.skeleton.name!r} has "
                f"{self.skeleton.num_keypoints} keypoints. Set them to the same number."
            )
        for evaluation in (self.evaluation, *self.more_evaluations):
            check_metrics(evaluation.metrics, self.skeleton, dimensions=2)

    def device_keys(self, data: Any) -> tuple[str, ...]:
        """The arrays of a batch that the device needs, of a data set or its opened source.

        The data set of each sample is among them where there are several and the model has weights
        of its own for each.
        """
        return (
            (*DEVICE_KEYS, "dataset")
            if self.experts and hasattr(data, "datasets")
            else (DEVICE_KEYS)
        )

    @property
    def experts(self) -> int:
        """Number of data sets that the backbone has weights of its own for (`models.moe`)."""
        return getattr(getattr(self.model, "backbone", None), "experts", 0)

    def task(self) -> TopDownTask:
        return TopDownTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw
