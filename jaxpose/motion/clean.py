"""Cleaning of lifted joints: smoothing over time and bones of fixed length."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.motion.armature import rigid
from jaxpose.motion.smooth import savitzky_golay
from jaxpose.skeletons import Skeleton

_DEGREE = 3


@dataclass(frozen=True)
class Cleaning:
    """Options for cleaning 3D joints, applied in this order.

    Attributes:
      smooth_seconds: time span of the polynomial fitted around each frame; 0 for no smoothing.
      rigid: whether bones keep their median length (`armature.rigid`).
    """

    smooth_seconds: float = 0.25
    rigid: bool = True


def clean(
    points: np.ndarray, skeleton: Skeleton, fps: float, cleaning: Cleaning | None = None
) -> np.ndarray:
    """Smooths `points [T, K, 3]` (mm) and makes bones rigid; frames with NaN stay.

    Raises:
      InputError: a rate that is not positive; as `armature.rigid`.
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
