"""Rows at a constant rate for measurements, from frames with a rate or with time stamps."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.motion.timing import Clock, even_clock


@dataclass(frozen=True)
class Rows:
    """Values at a constant rate.

    Attributes:
      values: `[N, ...]`.
      fps: rows per second.
      begin: time of the first row, seconds.
      clock: times of the frames and of the rows; None for frames with a rate alone.
    """

    values: np.ndarray
    fps: float
    begin: float = 0.0
    clock: Clock | None = None

    @property
    def note(self) -> str:
        """A sentence about resampling; empty for evenly spaced frames."""
        return "" if self.clock is None else self.clock.note()

    def frame(self, rows: np.ndarray) -> np.ndarray:
        """Index of the frame nearest in time to each of these rows `[M]`, int64 `[M]`."""
        rows = np.asarray(rows, np.int64)
        if self.clock is None or self.clock.even:
            return rows
        times, frames = self.clock.rows[rows], self.clock.seconds
        after = np.clip(np.searchsorted(frames, times), 1, len(frames) - 1)
        earlier = times - frames[after - 1] <= frames[after] - times
        return np.where(earlier, after - 1, after)


def rows_of(values: np.ndarray, fps: float | None, seconds: np.ndarray | None) -> Rows:
    """Rows of frames `[T, ...]`, resampled by their time stamps where these are not even.

    Args:
      values: of the frames.
      fps: frames per second of evenly spaced frames.
      seconds: instead, time stamps of the frames, `[T]` seconds.

    Raises:
      InputError: neither or both are given, a rate that is not positive, another number of time
        stamps, or as `motion.timing.even_clock`.
    """
    values = np.asarray(values, np.float64)
    if (fps is None) == (seconds is None):
        raise InputError("give either fps, or the time stamps of the frames as seconds")
    if seconds is None:
        if fps is None or not (np.isfinite(fps) and fps > 0):
            raise InputError(f"the frames per second must be positive, not {fps}")
        return Rows(values, fps)
    if np.shape(seconds) != (len(values),):
        raise InputError(f"{np.size(seconds)} time stamps for {len(values)} frames")
    clock = even_clock(seconds)
    return Rows(clock.to_rows(values), clock.fps, clock.begin, clock)


def check_filled(rows: Rows, what: str) -> None:
    """Checks rows for NaN.

    Raises:
      InputError: names a gap between frames, if there is one, or else `what` is missing.
    """
    if np.isfinite(rows.values).all():
        return
    clock = rows.clock
    if clock is not None and np.isnan(clock.to_rows(np.zeros(len(clock.seconds)))).any():
        steps = np.diff(clock.seconds)
        at = int(np.argmax(steps))
        raise InputError(
            f"frames {at} and {at + 1} are {steps[at]:.2f} s apart, and what happens between them "
            "is not known; measure the parts before and after by themselves"
        )
    raise InputError(f"{what} missing in some frames; fill the gaps first (motion.fill)")
