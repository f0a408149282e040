"""A trained lifter: all that lifting to 3D needs beside the variables."""

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
    """3D joints of one person from 2D keypoints over time; see `tasks.task.Estimator`.

    Attributes:
      codec: holds the training set's statistics and frame rate.
    """

    model: Lifter
    codec: LiftingCodec
    skeleton: Skeleton
    takes: ClassVar[str] = "tracks"

    def describe_input(self) -> str:
        return (
            f"one person's keypoints on the {self.codec.frame}, frames: "
            f"{self.model.backbone.frames}; gives mm about the root"
        )

    def predictor(self, variables: Any, **options: Any) -> TrackLifter:
        """See `TrackLifter`."""
        return TrackLifter(self.model, variables, self.codec, self.skeleton, **options)

    def program(
        self,
        variables: Any,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        photo_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """See `window_program`; a lifter reads no image, so `photo_hw` means nothing to it."""
        del photo_hw
        return window_program(
            self.model, variables, self.codec, self.skeleton, level=level, flip_test=flip_test
        )
