"""Comparison of the left and right sides."""

import warnings
from dataclasses import dataclass

import numpy as np

from jaxpose.measure.angles import angles
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class Sides:
    """One quantity measured on both sides.

    Attributes:
      left, right: its values.
      index: symmetry index in percent: 0 equal, positive where the left value is larger.
    """

    left: float
    right: float
    index: float


def symmetry_index(left: np.ndarray | float, right: np.ndarray | float) -> np.ndarray:
    """Symmetry index 100 (left - right) / (0.5 (left + right)), `[...]` percent; NaN if both are 0.

    Robinson, Herzog and Nigg, J. Manipulative and Physiological Therapeutics 1987, 10(4):172-176.
    """
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    middle = (left + right) / 2
    return np.where(middle == 0, np.nan, 100 * (left - right) / np.where(middle == 0, 1, middle))


def compare_sides(points: np.ndarray, skeleton: Skeleton) -> dict[str, Sides]:
    """Compares the range of motion of left and right joints over a clip.

    The range is from the 5th to the 95th percentile of the angle over the frames, degrees, so that
    a few wrong frames have no effect.

    Args:
      points: `[T, K, 2 or 3]`.

    Returns:
      by joint (`knee`, `hip`, ...); NaN where a side was never visible.

    Raises:
      InputError: the points have another number of keypoints than the skeleton.
    """
    found = angles(points, skeleton)
    ranges = {name: _range(values) for name, values in found.items()}
    joints = [name.removeprefix("left_") for name in ranges if name.startswith("left_")]
    result = {}
    for joint in joints:
        left, right = ranges[f"left_{joint}"], ranges[f"right_{joint}"]
        result[joint] = Sides(left, right, float(symmetry_index(left, right)))
    return result


def _range(values: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # never visible: NaN
        low, high = np.nanpercentile(values, [5, 95])
    return float(high - low)
