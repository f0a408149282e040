"""Lifted joints made to move as a body does."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.motion.armature import rigid
from jaxpose.motion.smooth import savitzky_golay
from jaxpose.skeletons import Skeleton

_DEGREE = 3


@dataclass(frozen=True)
class Cleaning:
    """What is done to joints in space, in this order.

    Attributes:
      smooth_seconds: span of the polynomial that each frame is taken from; 0 leaves them.
      rigid: whether bones keep their median length (`rig.rigid`).
    """

    smooth_seconds: float = 0.25
    rigid: bool = True


def clean(
    points: np.ndarray, skeleton: Skeleton, fps: float, cleaning: Cleaning | None = None
) -> np.ndarray:
    """`points [T, K, 3]` (mm) smooth and on rigid bones; frames with NaN stay.

    Raises:
      InputError: a rate that is not positive; as `rig.rigid`.
    """
    cleaning = cleaning or Cleaning()
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"the frames per second must be positive, not {fps}")
    points = np.array(points, np.float64)
    window = 2 * round(cleaning.smooth_seconds * fps / 2) + 1
    if window > _DEGREE:
        points = savitzky_golay(points, window, _DEGREE)
    whole = np.isfinite(points).all(axis=(1, 2))
    if cleaning.rigid and whole.any():
        points[whole] = rigid(points[whole], skeleton)
    return points
