"""Trained top-down model with all settings of prediction, without the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxpose.codecs.codec import Codec
from jaxpose.export.program import Level, Program
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.predictor import Predictor
from jaxpose.tasks.topdown.program import image_program


@dataclass(frozen=True)
class TopDownEstimator:
    """Estimator of the keypoints of one person per crop; see `tasks.task.Estimator`.

    Attributes:
      codec: turns the model's outputs into keypoints, and determines the size of the crop.
      padding: factor by which a person's box is enlarged before it is cropped.
    """

    model: PoseModel | DistillationModel
    codec: Codec
    skeleton: Skeleton
    padding: float = 1.25
    takes: ClassVar[str] = "crops"

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw

    def describe_input(self) -> str:
        height, width = self.input_hw
        return f"RGB, {width} x {height} pixels (width x height), one person's box"

    def predictor(self, variables: Any, **options: Any) -> Predictor:
        """Build a `Predictor`; `padding=None` means the padding of the estimator."""
        padding = options.pop("padding", None) or self.padding
        return Predictor(
            self.model, variables, self.codec, self.skeleton, padding=padding, **options
        )

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        photo_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the program to export; see `image_program`."""
        return image_program(
            self.model,
            variables,
            self.codec,
            self.skeleton,
            level=level,
            flip_test=flip_test,
            padding=self.padding,
            photo_hw=photo_hw,
        )
