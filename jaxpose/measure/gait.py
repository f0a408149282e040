"""Steps: times when feet touch and leave the ground, and their rate."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import find_peaks

from jaxpose.errors import InputError
from jaxpose.measure.parts import part
from jaxpose.measure.rows import check_filled, rows_of
from jaxpose.skeletons import Skeleton

# The foot's excursion in a stride must be at least this part of the largest one.
_PROMINENCE = 0.3
# Highest rate of strikes of one foot, Hz (sprinters reach about 2.5).
_FASTEST = 3.0


@dataclass(frozen=True)
class Steps:
    """Events of a walk, each `[N]` seconds, in order.

    The times are from the first frame, or those of the time stamps if these were given.

    Attributes:
      left_strikes, right_strikes: the foot touches the ground.
      left_offs, right_offs: the toes leave it.
      note: a sentence about resampling; empty for evenly spaced frames.
    """

    left_strikes: np.ndarray
    right_strikes: np.ndarray
    left_offs: np.ndarray
    right_offs: np.ndarray
    note: str = ""

    @property
    def strikes(self) -> np.ndarray:
        """Strikes of both feet in order, `[N]` seconds."""
        return np.sort(np.concatenate([self.left_strikes, self.right_strikes]))


def step_events(
    points: np.ndarray,
    skeleton: Skeleton,
    fps: float | None = None,
    *,
    seconds: np.ndarray | None = None,
    forward: np.ndarray | None = None,
) -> Steps:
    """Foot strikes and toe-offs of a person who walks or runs, by the feet's motion past the hips.

    A foot strikes when its heel is furthest in front of the hips, and leaves the ground when its
    toes are furthest behind them. Where the skeleton has no heels or toes, ankles replace them,
    which shifts events by some hundredths of a second. The camera must be at the person's side.

    Args:
      points: `[T, K, 2 or 3]`, smoothed and without gaps (`motion.smooth`, `motion.fill`).
      fps: frames per second of evenly spaced frames.
      seconds: instead of `fps`, `[T]` time stamps of frames that need not be evenly spaced; they
        are resampled.
      forward: `[D]` direction of the walk, needed on a treadmill; None takes the motion of the
        hips.

    Raises:
      InputError: the hips do not move and `forward` is not given, there are NaNs, frames are more
        than half a second apart, or neither or both of `fps` and `seconds` are given.

    Zeni, Richards and Higginson, "Two simple methods for determining gait events during treadmill
    and overground walking using kinematic data", Gait & Posture 2008, 27(4):710-714.
    """
    rows = rows_of(points, fps, seconds)
    points = rows.values
    hips = part(points, skeleton, "hips")
    check_filled(replace(rows, values=hips), "hips are")
    if forward is None:
        way = hips[-1] - hips[0]
        spread = np.ptp(part(points, skeleton, "left_heel") - hips, axis=0).max(initial=0.0)
        if np.linalg.norm(way) <= spread:
            raise InputError(
                "the hips do not move, so the direction of the walk is not known: give `forward`"
            )
    else:
        way = np.asarray(forward, np.float64)
    way = way / np.linalg.norm(way)
    events = []
    for name, sign in (("heel", 1.0), ("toe", -1.0)):
        for side in ("left", "right"):
            along = sign * (part(points, skeleton, f"{side}_{name}") - hips) @ way
            check_filled(replace(rows, values=along), f"the {side} {name} is")
            apart = max(1.0, rows.fps / _FASTEST)
            peaks, _ = find_peaks(along, distance=apart, prominence=_PROMINENCE * np.ptp(along))
            events.append(rows.begin + _between(along, peaks) / rows.fps)
    left, right, left_off, right_off = events
    return Steps(left, right, left_off, right_off, rows.note)


def _between(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Places of peaks between frames: the tops of parabolas through three neighbours, `[N]`."""
    before, top, after = signal[peaks - 1], signal[peaks], signal[peaks + 1]
    bend = before - 2 * top + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0.0)
    return peaks + np.clip(shift, -0.5, 0.5)


def cadence(steps: Steps) -> float:
    """Steps per minute: 60 (n - 1) / (time from the first to the last of n strikes); NaN below two.

    Perry and Burnfield, Gait Analysis: Normal and Pathological Function, 2nd edition 2010.
    """
    strikes = steps.strikes
    if len(strikes) < 2 or strikes[-1] == strikes[0]:
        return float("nan")
    return float(60 * (len(strikes) - 1) / (strikes[-1] - strikes[0]))
