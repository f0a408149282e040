"""Filling of short gaps in a clip; long gaps stay."""

from itertools import pairwise

import numpy as np

from jaxpose.errors import InputError


def check_order(times: np.ndarray) -> None:
    """Checks that frames are in order.

    Args:
      times: `[T]` seconds or frame numbers.

    Raises:
      InputError: names the first frame whose time is not after the previous one.
    """
    times = np.asarray(times, np.float64)
    wrong = np.flatnonzero(~(np.diff(times) > 0))
    if len(wrong):
        at = int(wrong[0])
        raise InputError(
            f"frames are out of order: entry {at + 1} has time {times[at + 1]:g} after "
            f"{times[at]:g}; sort the frames and leave out repeated ones"
        )


def fill_gaps(
    points: np.ndarray,
    visible: np.ndarray | None = None,
    *,
    max_gap: int = 10,
    times: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates missing keypoints linearly over time; 2D or 3D.

    Args:
      points: `[T, K, D]`.
      visible: `[T, K]`, above 0 where known; NaN is missing in any case.
      max_gap: longest run of missing frames to fill. Nothing is filled before the first or after
        the last known frame.
      times: `[T]` in order; None for equal steps.

    Returns:
      points with NaN where still missing, and `[T, K]` bool: known or filled.

    Raises:
      InputError: frames out of order, shapes that do not fit.
    """
    points = np.array(points, np.float64)
    known = np.isfinite(points).all(axis=-1)
    if visible is not None:
        if np.shape(visible) != known.shape:
            raise InputError(f"flags of shape {np.shape(visible)} for points {points.shape}")
        known &= np.asarray(visible) > 0
    times = np.arange(len(points), dtype=np.float64) if times is None else np.asarray(times)
    if times.shape != (len(points),):
        raise InputError(f"{times.shape} times for {len(points)} frames")
    check_order(times)
    points[~known] = np.nan
    filled = known.copy()
    for joint in range(points.shape[1]):
        frames = np.flatnonzero(known[:, joint])
        for before, after in pairwise(frames):
            if not 1 < after - before <= max_gap + 1:
                continue
            inside = np.arange(before + 1, after)
            share = (times[inside] - times[before]) / (times[after] - times[before])
            ends = points[before, joint], points[after, joint]
            points[inside, joint] = ends[0] + share[:, None] * (ends[1] - ends[0])
            filled[inside, joint] = True
    return points, filled
