"""Frames of images and videos, and what was left out of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Skipped:
    """Skipped image, video, or frames of a video (`index` is the first), with the reason."""

    source: str
    reason: str
    index: int | None = None


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
