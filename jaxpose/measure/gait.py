"""Steps: times when feet touch and leave the ground, and their rate."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.signal import find_peaks

from jaxpose.errors import InputError
from jaxpose.measure.parts import part
from jaxpose.measure.rows import check_filled, rows_of
from jaxpose.skeletons import Skeleton

# The foot's excursion in a stride must be at least this part of the largest one, which is smaller
# where the person walks towards the camera.
_PROMINENCE = 0.15
# A direction is the way of the hips in this time to both sides, seconds: longer than a stride, so
# that their swing has no effect, and short against a turn.
_HALF = 0.75
# Leg lengths per second below which the hips show no direction: about 0.5 m/s across the view.
_SLOWEST = 0.5
# An interval this much longer than the median one has a step in it that was not found.
_MISSED = 1.6
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
    which shifts events by some hundredths of a second. The direction of the walk is that of the
    hips in a second and a half around each frame, so the person may turn. In an image, events are
    found where the person walks across the view: towards the camera and away from it, the hips
    move too slowly.

    Args:
      points: `[T, K, 2 or 3]`, smoothed and without gaps (`motion.smooth`, `motion.fill`).
      fps: frames per second of evenly spaced frames.
      seconds: instead of `fps`, `[T]` time stamps of frames that need not be evenly spaced; they
        are resampled.
      forward: `[D]` direction of the walk, needed on a treadmill; None takes the motion of the
        hips at each time.

    Raises:
      InputError: the hips nowhere move half a leg's length in a second and `forward` is not given,
        there are NaNs, frames are more
        than half a second apart, or neither or both of `fps` and `seconds` are given.

    Zeni, Richards and Higginson, "Two simple methods for determining gait events during treadmill
    and overground walking using kinematic data", Gait & Posture 2008, 27(4):710-714.
    """
    rows = rows_of(points, fps, seconds)
    points = rows.values
    hips = part(points, skeleton, "hips")
    check_filled(replace(rows, values=hips), "hips are")
    if forward is None:
        way, walks = _direction(points, hips, skeleton, rows.fps)
    else:
        way = np.broadcast_to(np.asarray(forward, np.float64), hips.shape)
        way, walks = way / np.linalg.norm(forward), np.ones(len(hips), bool)
    events = []
    for name, sign in (("heel", 1.0), ("toe", -1.0)):
        for side in ("left", "right"):
            away = part(points, skeleton, f"{side}_{name}") - hips
            check_filled(replace(rows, values=away), f"the {side} {name} is")
            along = sign * (away * way).sum(axis=-1)
            apart = max(1.0, rows.fps / _FASTEST)
            least = _PROMINENCE * np.ptp(along[walks])
            peaks, _ = find_peaks(along, distance=apart, prominence=least)
            peaks = peaks[walks[peaks]]
            events.append(rows.begin + _between(along, peaks) / rows.fps)
    left, right, left_off, right_off = events
    return Steps(left, right, left_off, right_off, rows.note)


def _direction(
    points: np.ndarray, hips: np.ndarray, skeleton: Skeleton, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions `[T, D]` in which the hips move, and `[T]` whether they do."""
    last, reach = len(hips) - 1, max(1, round(_HALF * fps))
    before = np.clip(np.arange(len(hips)) - reach, 0, last)
    after = np.clip(np.arange(len(hips)) + reach, 0, last)
    way = (hips[after] - hips[before]) * (fps / np.maximum(after - before, 1))[:, None]
    speed = np.linalg.norm(way, axis=-1)
    legs = [part(points, skeleton, f"{side}_heel") - hips for side in ("left", "right")]
    lengths = np.linalg.norm(np.concatenate(legs), axis=-1)
    known = lengths[np.isfinite(lengths)]
    walks = speed > _SLOWEST * (np.percentile(known, 90) if known.size else 0.0)
    if not walks.any():
        raise InputError(
            "the hips do not move, so the direction of the walk is not known: give `forward`"
        )
    return way / np.where(speed > 0, speed, 1)[:, None], walks


def _between(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Places of peaks between frames: the tops of parabolas through three neighbours, `[N]`."""
    before, top, after = signal[peaks - 1], signal[peaks], signal[peaks + 1]
    bend = before - 2 * top + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0.0)
    return peaks + np.clip(shift, -0.5, 0.5)


def step_times(steps: Steps, foot: Literal["left", "right"] | None = None) -> np.ndarray:
    """Seconds from each strike to the next one, of the other foot, `[N]`.

    Two strikes of one foot in a row, and intervals more than 1.6 times the median, are left out: in
    them, steps were not found, or the person stood still.

    Args:
      foot: only the steps that end with a strike of this foot; None for all.
    """
    times = np.concatenate([steps.left_strikes, steps.right_strikes])
    right = np.arange(len(times)) >= len(steps.left_strikes)
    order = np.argsort(times, kind="stable")
    lasted, right = np.diff(times[order]), right[order]
    steps_of = (np.diff(right.astype(int)) != 0) & (lasted > 0)
    if not steps_of.any():
        return np.zeros(0)
    steps_of &= lasted <= _MISSED * np.median(lasted[steps_of])
    if foot is not None:
        steps_of &= right[1:] == (foot == "right")
    return lasted[steps_of]


def cadence(steps: Steps) -> float:
    """Steps per minute: 60 over the mean of `step_times`; NaN without a step.

    Perry and Burnfield, Gait Analysis: Normal and Pathological Function, 2nd edition 2010.
    """
    times = step_times(steps)
    return float(60 / times.mean()) if times.size else float("nan")
