"""Counts of repeated movements: squats, push-ups, jumping jacks."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.measure.rows import rows_of


@dataclass(frozen=True)
class Repetitions:
    """Repetitions in a signal.

    Attributes:
      starts: int64 `[N]`, the last frame near the resting value before each.
      turns: int64 `[N]`, the frame furthest from rest in each.
      ends: int64 `[N]`, the first frame back near the resting value.
      unfinished: True if another repetition has begun and is not over when the signal ends.
      seconds: float64 `[N, 3]`, times of start, turn and end, if time stamps were given; else None.
      note: a sentence about resampling; empty for evenly spaced frames.
    """

    starts: np.ndarray
    turns: np.ndarray
    ends: np.ndarray
    unfinished: bool
    seconds: np.ndarray | None = None
    note: str = ""

    def __len__(self) -> int:
        return len(self.starts)


def count_repetitions(
    signal: np.ndarray,
    *,
    min_range: float,
    seconds: np.ndarray | None = None,
    away: float = 0.6,
    back: float = 0.3,
    rest: str = "high",
) -> Repetitions:
    """Counts movements from rest and back, by two thresholds (hysteresis).

    The 5th and 95th percentile of the signal are its low and high. A repetition begins when the
    signal is more than `away` of the way from rest to the other extreme, and ends when it is less
    than `back` of the way from rest: jitter about one threshold is not counted, nor is a movement
    that turns halfway. This is a Schmitt trigger (Schmitt, J. Scientific Instruments 1938, 15:24),
    which MediaPipe's guide to pose classification uses as well.

    Args:
      signal: `[T]`, for instance the knee's angle (at rest `high`) or the height of the hips in
        pixels (y down, so at rest `low`). NaN frames are skipped.
      min_range: in the signal's unit; a signal that varies less has no repetition (about 30 degrees
        for a knee).
      seconds: `[T]` time stamps of the frames. Frames that are not evenly spaced are resampled, so
        that a part with more frames does not count more; starts, turns and ends are frames still.
      away, back: fractions of the range, `back < away`.
      rest: the extreme at which the movement rests, `high` or `low`.

    Raises:
      InputError: invalid thresholds or `rest`, or a signal that is not one-dimensional.
    """
    signal = np.asarray(signal, np.float64)
    if signal.ndim != 1:
        raise InputError(f"a signal is [T], not {list(signal.shape)}")
    if not 0 < back < away < 1:
        raise InputError(f"0 < back < away < 1 has to hold; they are {back} and {away}")
    if rest not in ("high", "low"):
        raise InputError(f"rest is 'high' or 'low', not {rest!r}")
    if seconds is None:
        return _counted(signal, min_range, away, back, rest)
    rows = rows_of(signal, None, seconds)
    found = _counted(rows.values, min_range, away, back, rest)
    places = [found.starts, found.turns, found.ends]
    times = rows.begin + np.stack(places, axis=-1) / rows.fps
    starts, turns, ends = map(rows.frame, places)
    return Repetitions(starts, turns, ends, found.unfinished, times, rows.note)


def _counted(
    signal: np.ndarray, min_range: float, away: float, back: float, rest: str
) -> Repetitions:
    """Repetitions of evenly spaced frames."""
    known = np.flatnonzero(np.isfinite(signal))
    none: np.ndarray = np.zeros(0, np.int64)
    if len(known) < 3:
        return Repetitions(none, none, none, False)
    low, high = np.percentile(signal[known], [5, 95])
    if high - low < min_range:
        return Repetitions(none, none, none, False)
    way = (signal[known] - low) / (high - low)
    way = 1 - way if rest == "high" else way
    found, start, begun = [], -1, False
    for frame, value in enumerate(way):
        if not begun and value > away and start >= 0:
            begun = True
        elif value < back:
            if begun:
                turn = start + int(np.argmax(way[start : frame + 1]))
                found.append((known[start], known[turn], known[frame]))
            start, begun = frame, False
    table = np.array(found, np.int64).reshape(-1, 3)
    return Repetitions(table[:, 0], table[:, 1], table[:, 2], begun)
