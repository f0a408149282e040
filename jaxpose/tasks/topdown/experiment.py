"""An experiment on crops: the keypoints of one person in each."""

from dataclasses import dataclass, field
from typing import Any, Literal

from jaxpose.codecs.codec import Codec
from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.device_batches import DEVICE_KEYS
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True)
class Evaluation:
    """When and how held-out people are scored.

    `metric` is `oks` (COCO AP and AR; the skeleton must have sigmas), `pck` (PCK@0.2 of the torso,
    person-centric), `pckh` (PCK@0.5 of the head's size), `auc` (of PCK up to 30 px), `epe` (mean
    error in px), `nme` (mean error over the distance of the outer eye corners or, without them,
    the size of the box), `wholebody` (AP and AR of each part) or `crowdpose` (AP by crowd index).
    The first figure of the metric picks the best checkpoint: the highest, of `epe` and `nme` the
    lowest.
    """

    metric: Literal["oks", "pck", "pckh", "auc", "epe", "nme", "wholebody", "crowdpose"] = "oks"
    every: int = 1000
    flip_test: bool = True
    batch_size: int = 32
    pictures: int = 8

    @property
    def best(self) -> str:
        """The figure that picks the best checkpoint."""
        return _BEST[self.metric]

    @property
    def lower_is_better(self) -> bool:
        """Whether that figure is an error."""
        return self.metric in ("epe", "nme")


_BEST = {
    "oks": "AP",
    "pck": "PCK",
    "pckh": "PCKh",
    "auc": "AUC",
    "epe": "EPE",
    "nme": "NME",
    "wholebody": "AP",
    "crowdpose": "AP",
}


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
        metric = self.evaluation.metric
        if metric in ("oks", "crowdpose") and self.skeleton.sigmas is None:
            raise InputError(
                f"Skeleton {self.skeleton.name!r} has no OKS sigmas, so evaluation.metric="
                f"{metric!r} has no meaning. Give it sigmas (a list, or one uniform value), or use "
                "evaluation.metric='pck'."
            )
        if metric == "wholebody" and self.skeleton.num_keypoints != 133:
            raise InputError(
                "evaluation.metric='wholebody' is for COCO-WholeBody's 133 keypoints, and skeleton "
                f"{self.skeleton.name!r} has {self.skeleton.num_keypoints}. Use 'oks'."
            )

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
