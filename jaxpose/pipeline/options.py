"""How a pipeline works; every default is a choice that suits most photos and films."""

from dataclasses import dataclass, field
from typing import Literal

from jaxpose.errors import InputError
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.tracking.tracker import Tracking


@dataclass(frozen=True)
class Options:
    """How a pipeline works.

    Attributes:
      flip_test: average with the mirrored crop: about one AP better, half as fast.
      scales: each person is looked at in the padded box times each of these, and averaged; `(1.0,)`
        is one look, `(0.9, 1.0, 1.15)` three, three times the work.
      padding: factor by which boxes are enlarged; None is what the model was trained with (1.25).
      batch_size: people in one forward pass. Crops of consecutive frames fill it.
      min_box_score: boxes below this are not looked into; detectors report none below thresholds of
        their own (YOLOX 0.2, RTMDet 0.3).
      min_score: keypoints below this do not count as seen, for tracking and for boxes.
      min_person_score: people whose mean keypoint score is below this are left out; 0 keeps all.
      max_people: at most so many a frame: the best boxes of a detector, else the largest; None is
        all.
      nms: people more alike than this (OKS) are one, found twice; None keeps both, and people in
        given boxes are kept in any case.
      detect_every: of a film, the detector looks at every n-th frame; in between boxes follow the
        keypoints of the frame before, and the detector helps where nobody is left.
        Above 1 a frame waits for the one before, so batches hold one frame's people.
      keypoint_margin: the size of the box that follows keypoints, times their extent.
      lost_score: people whose mean keypoint score falls below this between two looks of the
        detector are lost.
      track: give the people of films ids.
      tracking: how.
      smooth: smooth the tracked keypoints of films: `one-euro` (causal), `savitzky-golay` (looks
        ahead), a `Smoothing`, or None.
      ahead: frames that are decoded and looked through before they are needed; bounds the memory.
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
        if self.smoothing is not None and not self.track:
            raise InputError("smoothing follows people by their track ids: it needs track=True")

    @property
    def smoothing(self) -> Smoothing | None:
        """`smooth`, spelt out."""
        return Smoothing(self.smooth) if isinstance(self.smooth, str) else self.smooth
