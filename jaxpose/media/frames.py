"""Frames of images and videos, and what was left out of them."""

from dataclasses import dataclass

import numpy as np

NOT_READ = "cannot be read"
ABSENT = "does not exist"
NOT_TO_THE_END = "not read to the end"


@dataclass(frozen=True)
class Skipped:
    """Skipped image, video, or frames of a video, with the reason.

    Attributes:
      source: the image or video.
      reason: a sentence without a full stop.
      index: the first frame, where frames of a video are skipped.
      unit: the kind of thing that is skipped, for counts: "files", "frames", "pages" or "tracks".
      count: number of them.
      cause: the reason in a few words that many have in common, for counts.
    """

    source: str
    reason: str
    index: int | None = None
    unit: str = "files"
    count: int = 1
    cause: str = NOT_READ


@dataclass(frozen=True)
class Frame:
    """One image of a stream.

    Attributes:
      image: uint8 RGB `[H, W, 3]`, upright.
      source: the path, `webcam 0`, or `array`.
      index: the position within the video, with damaged frames counted; 0 for a single image.
      seconds: the frame's own time stamp, by the clock of the video, which may begin above 0; None
        for a single image.
      fps: frames per second that the video states; None if it states none, and for a single image.
        Frames need not be evenly spaced: `seconds` decides.
    """

    image: np.ndarray
    source: str
    index: int = 0
    seconds: float | None = None
    fps: float | None = None
