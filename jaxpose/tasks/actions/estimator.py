"""Trained classifier of actions: all parts that prediction needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxpose.codecs.clips import ClipCodec
from jaxpose.codecs.heatmap_volume import VolumeCodec
from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program
from jaxpose.models.actions.action_model import ActionModel, VolumeModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.actions.classifier import ActionClassifier
from jaxpose.tasks.actions.program import clip_program


@dataclass(frozen=True)
class ActionEstimator:
    """Classifier of clips of people's keypoints; see `tasks.task.Estimator`.

    Attributes:
      classes: names of the classes in the order of the logits.
    """

    model: ActionModel | VolumeModel
    codec: ClipCodec | VolumeCodec
    skeleton: Skeleton
    classes: tuple[str, ...]
    takes: ClassVar[str] = "clips"

    def __post_init__(self) -> None:
        if len(self.classes) != self.model.head.num_classes:
            raise InputError(
                f"A model of {self.model.head.num_classes} logits has {len(self.classes)} names of "
                "classes; there must be one for each."
            )

    def describe_input(self) -> str:
        return (
            f"clips of keypoints: {self.codec.describe()}; gives one of {len(self.classes)} classes"
        )

    def predictor(self, variables: Any, **options: Any) -> ActionClassifier:
        """Creates an `ActionClassifier` with these options."""
        return ActionClassifier(
            self.model, variables, self.codec, self.skeleton, self.classes, **options
        )

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Program to export, see `clip_program`; reads no image and ignores `image_hw`."""
        del image_hw
        return clip_program(
            self.model,
            variables,
            self.codec,
            self.skeleton,
            self.classes,
            level=level,
            flip_test=flip_test,
        )
