"""Options of a pipeline; the defaults suit most images and videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from jaxpose.config import override
from jaxpose.config.values import annotations, checked
from jaxpose.errors import InputError, nearest
from jaxpose.hub.quality import Quality
from jaxpose.tasks.lifting.tracks import Lifting
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.tracking.tracker import Tracking

# Options with options of their own: the class and an example for messages.
_PARTS: dict[str, tuple[type, str]] = {
    "tracking": (Tracking, "Tracking(patience=3)"),
    "smooth": (Smoothing, 'Smoothing("one-euro", beta=0.05)'),
    "lifting": (Lifting, "Lifting(flip_test=False)"),
}


@dataclass(frozen=True)
class Options:
    """Options of a `Pipeline`.

    Attributes:
      quality: models of a pipeline without a pose model of the user's choice: "fast", "balanced"
        or "accurate" (`jaxpose.hub.quality.PAIRS`); None is "balanced".
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
      nms_by: measure of `nms`: "oks", or "parametric", the pose distance of AlphaPose
        (`tracking.pose_nms.parametric_similarity`), for which a threshold of about 0.6 suits.
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

    For `tracking`, `smooth` and `lifting`, a dictionary of their fields may be given, too.

    Raises:
      InputError: a value of another type, or outside its range.
    """

    quality: Quality | None = None
    flip_test: bool = True
    scales: tuple[float, ...] = (1.0,)
    padding: float | None = None
    batch_size: int = 8
    min_box_score: float = 0.2
    min_score: float = 0.3
    min_person_score: float = 0.0
    max_people: int | None = None
    nms: float | None = 0.9
    nms_by: Literal["oks", "parametric"] = "oks"
    detect_every: int = 1
    keypoint_margin: float = 1.2
    lost_score: float = 0.2
    track: bool = True
    tracking: Tracking = field(default_factory=Tracking)
    smooth: Literal["one-euro", "savitzky-golay"] | Smoothing | None = None
    lifting: Lifting = field(default_factory=Lifting)
    ahead: int = 8

    def __post_init__(self) -> None:
        for name, hint in annotations(type(self)).items():
            object.__setattr__(self, name, _typed(name, getattr(self, name), hint))
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
        if self.smooth is not None and not self.track:
            raise InputError(
                "smoothing follows people by their track ids: it needs track=True (--track)"
            )

    @property
    def smoothing(self) -> Smoothing | None:
        """`smooth` as a `Smoothing`, or None."""
        return Smoothing(self.smooth) if isinstance(self.smooth, str) else self.smooth


def named_options(options: Mapping[str, Any]) -> Options:
    """Make `Options` from the values of its fields by name.

    Raises:
      InputError: an unknown name, with the nearest one; or as for `Options`.
    """
    check_names(options, Options)
    return Options(**options)


def set_options(options: Options, assignments: Sequence[str]) -> Options:
    """Apply the `dotted.key=value` assignments of `--set` (see `config.override`).

    `smooth` is set before the others, so that its own keys exist.

    Raises:
      InputError: as for `config.override`; a key of `smooth` while nothing is smoothed.
    """
    keys = [assignment.partition("=")[0].strip() for assignment in assignments]
    first = [a for a, key in zip(assignments, keys, strict=True) if key == "smooth"]
    options = override(options, first)
    for key in keys:
        if key.startswith("smooth.") and options.smooth is None:
            raise InputError(
                f"--set {key} changes a smoothing, and none is chosen: add --smooth one-euro of "
                "`predict`, or --set smooth=one-euro."
            )
    return override(options, [a for a in assignments if a not in first])


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Check the type of an option; a dictionary becomes the object that it describes."""
    if name not in _PARTS:
        return checked(value.item() if isinstance(value, np.generic) else value, hint, name)
    cls, example = _PARTS[name]
    if isinstance(value, cls) or (name == "smooth" and value is None):
        return value
    if isinstance(value, Mapping):
        check_names(value, cls, f"{name}.")
        return cls(**value)
    if name == "smooth" and isinstance(value, str):
        # A `Smoothing` has keys of its own, so that `smooth.beta` can be set.
        return Smoothing(value)  # type: ignore[arg-type]
    raise InputError(f"{name} must be a {cls.__name__}, such as {example}, and {value!r} is not")


def check_names(given: Mapping[str, Any], cls: type, above: str = "") -> None:
    """Check that options are fields of a dataclass; `above` is put before them in the message.

    Raises:
      InputError: an unknown name, with the nearest one.
    """
    names = [option.name for option in fields(cls)]
    for name in given:
        if name not in names:
            raise InputError(
                f"There is no option {above}{name}.{nearest(str(name), names)} "
                f"The options are: {', '.join(names)}."
            )
