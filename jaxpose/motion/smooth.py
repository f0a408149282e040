"""Smoothing over time, of 2D or 3D points."""

import numpy as np
from scipy.signal import savgol_filter

from jaxpose.errors import InputError


def savitzky_golay(points: np.ndarray, window: int = 7, order: int = 3) -> np.ndarray:
    """Replace each frame by a polynomial fitted around it: looks ahead, has no lag.

    Each run of frames without NaN is filtered by itself; runs shorter than `window` stay.

    Args:
      points: `[T, ...]`.
      window: odd number of frames.
      order: degree, below `window`.

    Raises:
      InputError: a window that is even or not above the degree.

    Savitzky and Golay, Analytical Chemistry 1964.
    """
    if window % 2 == 0 or window <= order:
        raise InputError(f"window {window} has to be odd and above the degree {order}")
    smooth = np.array(points, np.float64)
    flat = smooth.reshape(len(smooth), -1)
    for column in flat.T:
        known = np.flatnonzero(np.isfinite(column))
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if len(run) >= window:
                column[run] = savgol_filter(column[run], window, order)
    return flat.reshape(smooth.shape)


def one_euro(
    points: np.ndarray,
    fps: float,
    *,
    min_cutoff: float = 1.0,
    beta: float = 0.007,
    derivative_cutoff: float = 1.0,
) -> np.ndarray:
    """A causal low pass whose cut-off rises with speed: steady at rest, little lag in motion.

    Args:
      points: `[T, ...]`; NaN stays, and the filter starts again after it.
      fps: frames per second.
      min_cutoff: Hz at rest.
      beta: Hz per unit/s of speed; 0.007 suits pixels, 0.002 millimetres.
      derivative_cutoff: Hz, of the speed.

    Casiez et al., "1€ Filter", CHI 2012, algorithm 1.
    """
    points = np.asarray(points, np.float64)
    smooth = points.copy()
    speed = np.zeros_like(points[:1])[0]
    for frame in range(1, len(points)):
        last, now = smooth[frame - 1], points[frame]
        fresh = ~np.isfinite(last)
        step = np.where(fresh, 0.0, (now - last) * fps)
        faded = _share(derivative_cutoff, fps) * (step - speed) + speed
        speed = np.where(np.isfinite(faded), faded, 0.0)
        share = _share(min_cutoff + beta * np.abs(speed), fps)
        smooth[frame] = np.where(fresh, now, last + share * (now - last))
    return smooth


def _share(cutoff: np.ndarray | float, fps: float) -> np.ndarray | float:
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
