"""Smoothing over time, of 2D or 3D points."""

import numpy as np
from scipy.signal import savgol_filter

from jaxpose.errors import InputError


def savitzky_golay(points: np.ndarray, window: int = 7, order: int = 3) -> np.ndarray:
    """Replaces each frame by a polynomial fitted around it; uses later frames and has no lag.

    Each run of frames without NaN is filtered separately; runs shorter than `window` stay.

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
    patterns, pattern = np.unique(np.isfinite(flat), axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):
        columns = np.flatnonzero(pattern.reshape(-1) == index)
        known = np.flatnonzero(patterns[:, index])
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if len(run) >= window:
                part = np.ix_(run, columns)
                flat[part] = savgol_filter(flat[part], window, order, axis=0)
    return flat.reshape(smooth.shape)


class OneEuro:
    """Online form of the filter `one_euro`; keeps its state between calls."""

    def __init__(
        self, min_cutoff: float = 1.0, beta: float = 0.007, derivative_cutoff: float = 1.0
    ) -> None:
        """Takes cut-offs: Hz at rest, Hz per unit/s of speed, and Hz for the speed itself."""
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self._last: np.ndarray | None = None
        self._speed: np.ndarray | None = None

    def __call__(self, points: np.ndarray, fps: float) -> np.ndarray:
        """Smooths the next points `[...]`; `fps` is one over the seconds since the last ones."""
        now = np.asarray(points, np.float64)
        if self._last is None or self._speed is None:
            self._last, self._speed = now.copy(), np.zeros_like(now)
            return self._last.copy()
        last, speed = self._last, self._speed
        fresh = ~np.isfinite(last)
        step = np.where(fresh, 0.0, (now - last) * fps)
        faded = _share(self.derivative_cutoff, fps) * (step - speed) + speed
        self._speed = np.where(np.isfinite(faded), faded, 0.0)
        share = _share(self.min_cutoff + self.beta * np.abs(self._speed), fps)
        self._last = np.where(fresh, now, last + share * (now - last))
        return self._last.copy()


def one_euro(
    points: np.ndarray,
    fps: float,
    *,
    min_cutoff: float = 1.0,
    beta: float = 0.007,
    derivative_cutoff: float = 1.0,
) -> np.ndarray:
    """Causal low-pass filter whose cut-off rises with speed: steady at rest, little lag in motion.

    Args:
      points: `[T, ...]`; NaN stays, and the filter starts again after it.
      fps: frames per second.
      min_cutoff: Hz at rest.
      beta: Hz per unit/s of speed; 0.007 suits pixels, 0.002 millimetres.
      derivative_cutoff: Hz, for the speed.

    Casiez et al., "1€ Filter", CHI 2012, algorithm 1.
    """
    step = OneEuro(min_cutoff, beta, derivative_cutoff)
    smooth = np.array(points, np.float64)
    for frame in range(len(smooth)):
        smooth[frame] = step(smooth[frame], fps)
    return smooth


def _share(cutoff: np.ndarray | float, fps: float) -> np.ndarray | float:
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
