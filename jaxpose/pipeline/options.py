"""Options of a pipeline; the defaults suit most images and videos."""

from dataclasses import dataclass, field
from typing import Literal

from jaxpose.errors import InputError
from jaxpose.tasks.lifting.tracks import Lifting
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.tracking.tracker import Tracking


@dataclass(frozen=True)
class Options:
    """Options of a `Pipeline`.

    Attributes:
      flip_test: average with the mirrored crop: about one AP better, half as fast.
      scales: factors of the padded box; the keypoints in the crop of each are averaged. `(1.0,)` is
        one crop, `(0.9, 1.0, 1.15)` are three, with three times the work.
      padding: factor by which boxes are enlarged; None is that of the model's training (1.25).
      batch_size: people in one forward pass, or images for a model of whole images. Crops of
        consecutive frames fill it.
      min_box_score: boxes below this score are not used; detectors report none below thresholds of
        their own (YOLOX 0.2, RTMDet 0.3).
      min_score: keypoints below this score are ignored in tracking and in boxes around keypoints.
      min_person_score: people whose mean keypoint score is below this are left out; 0 keeps all.
      max_people: largest number of people in a frame: those with the best boxes of a detector, else
        the largest boxes; for a model of whole images the best scores. None is all.
      nms: of two people more alike than this (OKS), the one with the lower score is removed; None
        keeps both. People in given boxes are always kept.
      detect_every: in videos, the detector runs in every n-th frame; in between, boxes follow the
        keypoints of the frame before, and the detector runs where no person is left.
        Above 1 a frame waits for the one before, so batches hold one frame's people.
      keypoint_margin: size of a box that follows keypoints, relative to their extent.
      lost_score: people whose mean keypoint score falls below this between two runs of the detector
        are lost.
      track: give the people of videos ids.
      tracking: options of the tracker.
      smooth: smooth the tracked keypoints of videos: `one-euro` (causal), `savitzky-golay` (reads
        ahead), a `Smoothing`, or None.
      lifting: options of a lifter.
      ahead: number of frames that are decoded and detected in advance; bounds the memory.
    """

    flip_test: bool = True
    scales: tuple[float, ...] = (1.0,)
    padding: float | None = None
    batch_size: int = 8
    min_box_score: float = 0.2
    min_score: float = 0.3
    min_person_score: float = 0.0
    max_people: int | None = None
    nms: float | None = 0.9
    detect_every: int = 1
    keypoint_margin: float = 1.2
    lost_score: float = 0.2
    track: bool = True
    tracking: Tracking = field(default_factory=Tracking)
    smooth: Literal["one-euro", "savitzky-golay"] | Smoothing | None = None
    lifting: Lifting = field(default_factory=Lifting)
    ahead: int = 8

    def __post_init__(self) -> None:
        for name, lowest in (("batch_size", 1), ("detect_every", 1), ("ahead", 1)):
            if getattr(self, name) < lowest:
                raise InputError(f"{name} must be at least {lowest}, not {getattr(self, name)}")
        if self.max_people is not None and self.max_people < 1:
            raise InputError(f"max_people must be at least 1 or None, not {self.max_people}")
        for name in ("min_box_score", "min_score", "min_person_score", "lost_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is in [0, 1], not {getattr(self, name)}")
        if self.keypoint_margin <= 0:
            raise InputError(f"keypoint_margin must be positive, not {self.keypoint_margin}")
        if isinstance(self.smooth, str):
            # A `Smoothing` has keys of its own, so that `smooth.beta` can be set.
            object.__setattr__(self, "smooth", Smoothing(self.smooth))
        if self.smooth is not None and not self.track:
            raise InputError("smoothing follows people by their track ids: it needs track=True")

    @property
    def smoothing(self) -> Smoothing | None:
        """`smooth` as a `Smoothing`, or None."""
        return Smoothing(self.smooth) if isinstance(self.smooth, str) else self.smooth
