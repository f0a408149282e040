"""Even clocks for frames whose time stamps need not be even.

Filters, lifters and motion files need rows at a constant rate. The one way to it from the frames of
a video is `even_clock`: where frames lie on an even grid they are its rows, otherwise values are
interpolated at the rows by the frames' own time stamps.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from jaxpose.errors import InputError

LONGEST_GAP = 0.5
"""Seconds between two frames up to which values between them are interpolated."""

DEFAULT_FPS = 30.0
"""Rate of frames without time stamps."""

# Time stamps of a grid are rounded to a millisecond by Matroska and WebM.
_ROUNDED = 1.05e-3
_USUAL = (
    *(Fraction(n) for n in (5, 6, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 180)),
    *(Fraction(n) for n in (200, 240, 250, 300, 480, 500, 960, 1000)),
    *(Fraction(1000 * n, 1001) for n in (24, 30, 48, 60, 120, 240)),
)
MOST_ROWS = 2_000_000
_LONGEST_SPAN = 1e6  # seconds; slower rates than a frame in this time are not exact fractions
_LATEST = 4e9  # seconds, the year 2096 in Unix time; float64 has a microsecond up to there
_NO_TIME = 1e-6  # seconds between two frames with one time stamp


@dataclass(frozen=True)
class Clock:
    """Rows at a constant rate over the time of some frames.

    Attributes:
      seconds: `[T]` time stamps of the frames.
      rate: rows per second, exact.
      begin: time of the first row.
      count: number of rows, N.
      places: int64 `[T]`, the row of each frame, where frames lie on rows; None where they do not,
        and values are interpolated.
    """

    seconds: np.ndarray
    rate: Fraction
    begin: float
    count: int
    places: np.ndarray | None

    @property
    def fps(self) -> float:
        """Rows per second."""
        return float(self.rate)

    @property
    def rows(self) -> np.ndarray:
        """Times of the rows, float64 `[N]` seconds."""
        numerator, denominator = self.rate.numerator, self.rate.denominator
        return self.begin + np.arange(self.count) * denominator / numerator

    @property
    def even(self) -> bool:
        """True if every frame is a row and every row a frame."""
        return self.places is not None and self.count == len(self.seconds)

    def note(self, longest_gap: float = LONGEST_GAP) -> str:
        """A sentence about what was done to frames that are not even; empty if they are."""
        if self.even:
            return ""
        missing = self.count - len(self.seconds)
        steps = np.diff(self.seconds)
        wide = int((steps > longest_gap + 1e-9).sum())
        gaps = ""
        if wide:
            what = "1 gap" if wide == 1 else f"{wide:,} gaps"
            gaps = f"; nothing is filled into {what} of more than {longest_gap:g} s"
        if self.places is not None and missing <= 0.1 * self.count:
            frames = "1 frame is" if missing == 1 else f"{missing:,} frames are"
            return f"{frames} missing among those at {self.fps:.6g} a second{gaps}"
        return (
            f"The frames are {1000 * steps.min():.0f} to {1000 * steps.max():.0f} ms apart; they "
            f"were resampled to {self.fps:.6g} a second by their time stamps{gaps}"
        )

    def to_rows(self, values: np.ndarray, longest_gap: float = LONGEST_GAP) -> np.ndarray:
        """Values of the frames `[T, ...]` at the rows, float64 `[N, ...]`, interpolated.

        NaN between two frames that are further apart than `longest_gap` seconds, or where one of
        them is NaN; the rows nearest to a frame keep its value.
        """
        values = np.asarray(values, np.float64)
        if self.even or self.count == 1:
            return np.array(values[: self.count])
        rows = self.rows
        if self.places is None:
            return _at(self.seconds, values, rows, longest_gap, 0.5 / self.fps)
        found = _at(rows[self.places], values, rows, longest_gap, 0.0)
        found[self.places] = values
        return found

    def to_frames(self, values: np.ndarray) -> np.ndarray:
        """Values of the rows `[N, ...]` at the frames, float64 `[T, ...]`; NaN stays."""
        values = np.asarray(values, np.float64)
        if self.places is not None:
            return np.array(values[self.places])
        return _at(self.rows, values, self.seconds, np.inf, 0.51 / self.fps)


def even_clock(seconds: np.ndarray, stated: float | None = None) -> Clock:
    """Clock of frames with these time stamps.

    Frames within a millisecond of an even grid lie on it; its rate is the stated one, a usual one
    such as 30000/1001, or the measured one, whichever fits first. Others get rows at about the rate
    of their faster parts, from the first frame exactly to the last.

    Args:
      seconds: `[T]`, in order.
      stated: frames per second by the header; ignored where the time stamps show another rate.

    Raises:
      InputError: no frame, time stamps that are not numbers or run backwards, or frames so far
        apart and so close that rows at an even rate cannot hold them.
    """
    times = _increasing(np.array(seconds, np.float64))
    if len(times) == 1:
        return Clock(times, exact_rate(stated or DEFAULT_FPS), times[0], 1, np.zeros(1, np.int64))
    span = float(times[-1] - times[0])
    for rate in _candidates(times, stated):
        places = np.rint((times - times[0]) * float(rate)).astype(np.int64)
        off = np.abs(times - times[0] - places / float(rate)).max()
        if off <= min(_ROUNDED, 0.25 / float(rate)) and (np.diff(places) > 0).all():
            _check_rows(int(places[-1]) + 1, times)
            return Clock(times, rate, float(times[0]), int(places[-1]) + 1, places)
    pace = 1 / float(np.percentile(np.diff(times), 25))
    usual = min(map(float, _USUAL), key=lambda rate: abs(np.log(rate / pace)))
    pace = usual if abs(usual / pace - 1) < 0.06 else pace
    steps = max(1, round(span * pace))
    _check_rows(steps + 1, times)
    rate = steps / Fraction(span).limit_denominator(10**6)
    return Clock(times, rate, float(times[0]), steps + 1, None)


def exact_rate(fps: float) -> Fraction:
    """The fraction that a rate is a rounding of, such as 30000/1001 for 29.97002997002997."""
    return Fraction(fps).limit_denominator(10**6)


def resampled(values: np.ndarray, count: int) -> np.ndarray:
    """Resamples `[T, ...]` to `[count, ...]` over the same time by linear interpolation."""
    if count == len(values):
        return values
    at = np.linspace(0, len(values) - 1, count)
    before = np.minimum(at.astype(int), max(len(values) - 2, 0))
    share = (at - before).reshape(-1, *(1,) * (values.ndim - 1)).astype(values.dtype)
    return (1 - share) * values[before] + share * values[np.minimum(before + 1, len(values) - 1)]


def _increasing(times: np.ndarray) -> np.ndarray:
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise InputError("time stamps must be one number for each frame, at least one frame")
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        at = int(back[0])
        raise InputError(
            f"the time stamps run backwards: frame {at + 1} of {len(times)} is at "
            f"{times[at + 1]:.3f} s, after {times[at]:.3f} s; cut the video there"
        )
    first, last = float(times[0]), float(times[-1])
    if max(-first, last) > _LATEST:
        raise InputError(f"time stamps of {first:,.0f} to {last:,.0f} s: are they in seconds?")
    span = last - first
    if span > _LONGEST_SPAN:
        raise InputError(
            f"the time stamps span {span:,.0f} s, more than {_LONGEST_SPAN:,.0f} s: are they in "
            "seconds?"
        )
    # Browsers' recordings hold frames with one time stamp.
    same = np.flatnonzero(np.diff(times) < _NO_TIME)
    for at in same.tolist():
        times[at + 1] = times[at] + _NO_TIME
    return _increasing(times) if len(same) and (np.diff(times) < 0).any() else times


def _candidates(times: np.ndarray, stated: float | None) -> list[Fraction]:
    """Rates that the frames may have, the stated one first."""
    steps = np.diff(times)
    usual_step = float(np.percentile(steps, 50, method="lower"))
    regular = steps[(steps > 0.5 * usual_step) & (steps < 1.5 * usual_step)]
    measured = len(regular) / float(regular.sum())
    found = [] if stated is None else [exact_rate(stated)]
    near = [rate for rate in _USUAL if abs(float(rate) / measured - 1) < 0.01]
    found += sorted(near, key=lambda rate: abs(float(rate) / measured - 1))
    whole = Fraction(len(steps)) / Fraction(float(times[-1] - times[0])).limit_denominator(10**6)
    return [*found, whole, exact_rate(measured)]


def _check_rows(count: int, times: np.ndarray) -> None:
    if count > MOST_ROWS:
        raise InputError(
            f"{len(times):,} frames over {times[-1] - times[0]:,.0f} s, some of them less than "
            f"{np.diff(times).min() + 1e-9:.2g} s apart, need {count:,} rows at an even rate, more "
            f"than {MOST_ROWS:,}; cut the video into parts"
        )


def _at(
    times: np.ndarray, values: np.ndarray, at: np.ndarray, longest_gap: float, reach: float
) -> np.ndarray:
    """Values `[T, ...]` of `times` at other times `[N]`.

    NaN beside a NaN and in gaps of more than `longest_gap`, except within `reach` seconds of a
    known value, which is taken instead. Elsewhere a cubic whose slopes at the frames are those of
    the parabola through three neighbours (Hermite's form; Catmull and Rom 1974 for uneven steps),
    or a line where a neighbour is missing or much nearer than the other: noise there would be
    enlarged.
    """
    before = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    left, right = times[before], times[before + 1]
    step = _column(right - left, values)
    share = _column(np.clip((at - left) / (right - left), 0, 1), values)
    first, second = values[before], values[before + 1]
    start, end = _slopes(times, values, longest_gap)
    # Differences from the line between both frames, at the share s: s (1-s)^2 and s^2 (1-s).
    line = first + share * (second - first)
    slope = (second - first) / step
    bend = (start[before] - slope) * (1 - share) - (end[before] - slope) * share
    found = line + step * share * (1 - share) * bend
    found = np.where(share == 0, first, np.where(share == 1, second, found))
    apart = step > longest_gap + 1e-9
    found = np.where(apart & (share > 0) & (share < 1), np.nan, found)
    lost = ~np.isfinite(found)
    found = np.where(lost & _column(right - at <= reach, values), second, found)
    near = lost & _column(at - left <= reach, values) & np.isfinite(first)
    return np.where(near, first, found)


def _slopes(
    times: np.ndarray, values: np.ndarray, longest_gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes at both ends of each step between frames, `[T - 1, ...]` each."""
    steps = np.diff(times)
    usable = np.where(steps <= longest_gap + 1e-9, steps, np.nan)
    slopes = np.diff(values, axis=0) / _column(steps, values)
    start, end = slopes.copy(), slopes.copy()
    if len(steps) > 1:
        one, other = usable[:-1], usable[1:]
        parabola = (
            _column(other, values) * slopes[:-1] + _column(one, values) * slopes[1:]
        ) / _column(one + other, values)
        known = np.isfinite(parabola)
        start[1:] = np.where(known & _column(one > other / 4, values), parabola, slopes[1:])
        end[:-1] = np.where(known & _column(other > one / 4, values), parabola, slopes[:-1])
    return start, end


def _column(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers `[N]` as `[N, 1, ...]`, with as many axes as `values`."""
    return numbers.reshape(-1, *(1,) * (values.ndim - 1))
