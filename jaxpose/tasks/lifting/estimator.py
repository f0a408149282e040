"""Trained lifter: all parts that lifting to 3D needs, except the variables."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.export.program import Level, Program
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.lifting.program import window_program
from jaxpose.tasks.lifting.track_lifter import TrackLifter


@dataclass(frozen=True)
class LiftingEstimator:
    """Lifter of one person's 2D keypoints over time to 3D joints; see `tasks.task.Estimator`.

    Attributes:
      codec: contains the training set's statistics and frame rate.
    """

    model: Lifter
    codec: LiftingCodec
    skeleton: Skeleton
    takes: ClassVar[str] = "tracks"

    def describe_input(self) -> str:
        return (
            f"one person's keypoints on the {self.codec.frame}, frames: "
            f"{self.model.backbone.frames}; gives mm relative to the root"
        )

    def predictor(self, variables: Any, **options: Any) -> TrackLifter:
        """Creates a `TrackLifter` with these options."""
        return TrackLifter(self.model, variables, self.codec, self.skeleton, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Program to export, see `window_program`; reads no image and ignores `image_hw`."""
        del image_hw
        return window_program(
            self.model, variables, self.codec, self.skeleton, level=level, flip_test=flip_test
        )
