"""Experiment on crops, each with the keypoints of one person."""

from dataclasses import InitVar, dataclass, field
from typing import Any

from jaxpose.codecs.codec import Codec, takes_depth
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
    """Schedule and metrics for the evaluation on held-out people; see `EvaluationBase`.

    Attributes:
      metrics: those of `jaxpose.metrics`, or custom ones: `CocoAP()` (the skeleton must have
        sigmas), `PCK(0.2)` of the torso, `PCKh(0.5)` of the head's size, `AUC()`, `EPE()` in px,
        `NME()`, `WholeBodyAP()` (133 keypoints), `CrowdPoseAP()`.
      examples: number of people drawn with their estimates: this many first people of the dataset,
        and this many with the largest errors.
      data: a dataset to use in place of the experiment's `eval_data`.
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
    # Factor from the size of the box to that of the crop. 1.25 is the published value. Keypoints
    # outside the crop are lost; a canvas allows up to 1.875.
    padding: float = 1.25
    # Keep the whole training set as uint8 canvases in device memory; otherwise the host streams it.
    resident: bool = False
    # Weights of the teacher of a `DistillationModel`: a release folder or a state dict.
    teacher_from: str | None = None
    # For each keypoint, the one in `init_from`, by number, whose outputs its own begin as; -1 for
    # random ones. None: `init_from` has the same keypoints, or `reset_head` leaves them out.
    init_keypoints: tuple[int, ...] | None = None
    # A release whose knowledge token the model copies (ViTPose, arXiv:2204.12484, section 3.3).
    knowledge_from: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.padding <= 1.875:
            raise InputError(f"padding must be in [1, 1.875], and is {self.padding}.")
        if isinstance(self.model, DistillationModel) != (self.teacher_from is not None):
            raise InputError(
                "teacher_from names the weights of the teacher of a DistillationModel: set both or "
                "neither."
            )
        if self.knowledge_from is not None and not (
            isinstance(self.model, PoseModel)
            and getattr(self.model.backbone, "knowledge_token", 0) > 0
        ):
            raise InputError(
                "knowledge_from is for a ViT with model.backbone.knowledge_token set to the width "
                "of the teacher."
            )
        # A model of another package may have no head, or one without this field; `check` then
        # compares the shapes.
        head = getattr(self.model, "head", None)
        outputs = getattr(head, "num_keypoints", self.skeleton.num_keypoints)
        if outputs != self.skeleton.num_keypoints:
            raise InputError(
                f"model.head.num_keypoints is {outputs}, but skeleton {self.skeleton.name!r} has "
                f"{self.skeleton.num_keypoints} keypoints. Set them to the same number."
            )
        rows = self.init_keypoints
        if rows is not None and self.init_from is None:
            raise InputError("init_keypoints needs init_from, the weights with these keypoints.")
        if rows is not None and (self.reset_head or len(rows) != self.skeleton.num_keypoints):
            raise InputError(
                f"init_keypoints has {len(rows)} numbers and reset_head is {self.reset_head}. Give "
                f"one number for each of the {self.skeleton.num_keypoints} keypoints of skeleton "
                f"{self.skeleton.name!r}, and leave reset_head out."
            )
        for evaluation in (self.evaluation, *self.more_evaluations):
            check_metrics(evaluation.metrics, self.skeleton, dimensions=2)

    def device_keys(self, data: Any) -> tuple[str, ...]:
        """Names of the arrays of a batch that the device needs.

        `data` is a dataset or its opened source. The names include `dataset`, the dataset of each
        sample, if `data` is a mixture and the model has separate weights for each dataset, and
        `keypoints_3d` if an opened source has them and the codec encodes depths, and `frames` and
        `times` if it has clips and the model sees several frames.
        """
        keys: tuple[str, ...] = DEVICE_KEYS
        if self.experts and hasattr(data, "datasets"):
            keys = (*keys, "dataset")
        if takes_depth(self.codec) and getattr(data, "has_3d", False):
            keys = (*keys, "keypoints_3d")
        if self.frames > 1 and getattr(data, "has_frames", False):
            keys = (*keys, "frames", "times")
        return keys

    @property
    def frames(self) -> int:
        """Number of frames of a video that the model sees at once; 1 for a model of images."""
        return len(getattr(getattr(self.model, "head", None), "times", (0,)))

    @property
    def experts(self) -> int:
        """Number of datasets for which the backbone has separate weights (`models.moe`)."""
        return getattr(getattr(self.model, "backbone", None), "experts", 0)

    def task(self) -> TopDownTask:
        return TopDownTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw
