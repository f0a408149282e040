"""Signs of a fall. Heuristics for sorting videos; not a safety device."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.measure.angles import inclination
from jaxpose.measure.parts import part, upwards
from jaxpose.measure.rows import rows_of
from jaxpose.measure.segments import segment_lengths
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class FallSigns:
    """Signs of a fall over time, each `[T]`; rows at a constant rate.

    Attributes:
      descent: downward speed of the hips, trunk lengths per second, over half a second.
      inclination: degrees of the trunk from the vertical.
      flatness: width over height of the extent of all keypoints; above 1 for a lying person.
      fps: rows per second.
      begin: time of the first row, seconds.
      note: a sentence about resampling; empty for evenly spaced frames.
    """

    descent: np.ndarray
    inclination: np.ndarray
    flatness: np.ndarray
    fps: float | None = None
    begin: float = 0.0
    note: str = ""


def fall_signs(
    points: np.ndarray,
    skeleton: Skeleton,
    fps: float | None = None,
    *,
    seconds: np.ndarray | None = None,
    up: str = "-y",
) -> FallSigns:
    """Computes the signs of a fall: descent of the hips, inclination of the trunk, and extent.

    Chen et al., "Fall Detection Based on Key Points of Human-Skeleton Using OpenPose", Symmetry
    2020, 12(5):744. Lengths are in trunk lengths (the 90th percentile over the clip), so that
    pixels work too.

    Args:
      points: `[T, K, 2 or 3]`; NaN where missing.
      fps: frames per second of evenly spaced frames.
      seconds: instead of `fps`, `[T]` time stamps of frames that need not be evenly spaced; they
        are resampled, and the signs have more or fewer rows than there are frames.
      up: the axis that points up.

    Raises:
      InputError: not a clip, or the skeleton has no hips or shoulders.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 3:
        raise InputError(f"a clip is [T, K, 2 or 3] at a positive rate, not {list(points.shape)}")
    if not len(points):
        return FallSigns(np.zeros(0), np.zeros(0), np.zeros(0), fps)
    rows = rows_of(points, fps, seconds)
    points, rate = rows.values, rows.fps
    vertical = upwards(points.shape[-1], up)
    trunk = segment_lengths(points, skeleton)["trunk"]
    known = trunk[np.isfinite(trunk) & (trunk > 0)]
    unit = float(np.percentile(known, 90)) if known.size else np.nan
    height = part(points, skeleton, "hips") @ vertical / unit
    lag = max(1, round(0.5 * rate))
    before = np.concatenate([np.full(min(lag, len(height)), np.nan), height[:-lag]])
    descent = (before[: len(height)] - height) * rate / lag
    tall = _extent(points @ vertical)
    level = points - (points @ vertical)[..., None] * vertical[None, None]
    wide = np.max([_extent(level[..., axis]) for axis in range(points.shape[-1])], axis=0)
    flatness = wide / np.where(tall > 0, tall, np.nan)
    leaning = inclination(points, skeleton, up)
    return FallSigns(descent, leaning, flatness, rate, rows.begin, rows.note)


def falls(
    signs: FallSigns,
    fps: float | None = None,
    *,
    min_descent: float = 1.0,
    min_inclination: float = 60.0,
    min_flatness: float = 1.0,
    within: float = 1.5,
    lying: float = 1.0,
) -> list[float]:
    """Times of falls in seconds: a fast descent, after which the person lies and stays down.

    Lying is a trunk inclined by `min_inclination` degrees in an extent at least `min_flatness` as
    wide as high. Rest after the impact separates a fall from lying down to exercise (Noury et al.,
    "Fall detection: principles and methods", IEEE EMBC 2007).

    Args:
      signs: result of `fall_signs`.
      fps: rows per second; None for that of the signs.
      min_descent: trunk lengths per second.
      within: longest time from the descent to lying, seconds.
      lying: seconds in which most frames (80 %) must show the person lying.

    Raises:
      InputError: `fps` is neither given nor in the signs.
    """
    fps = signs.fps if fps is None else fps
    if fps is None:
        raise InputError("the rows per second of the signs are not known: give fps")
    flat = (signs.inclination >= min_inclination) & (signs.flatness >= min_flatness)
    fast = np.flatnonzero(signs.descent >= min_descent)
    found: list[float] = []
    length = max(1, round(lying * fps))
    blocked = -1
    for frame in fast.tolist():
        if frame <= blocked:
            continue
        for start in range(frame, min(frame + round(within * fps) + 1, len(flat) - length + 1)):
            if flat[start] and flat[start : start + length].mean() >= 0.8:
                found.append(signs.begin + frame / fps)
                rise = np.flatnonzero(~flat[start + length :])
                blocked = start + length + (int(rise[0]) if len(rise) else len(flat))
                break
    return found


def _extent(values: np.ndarray) -> np.ndarray:
    """Difference `[T]` between the highest and the lowest of `values [T, K]`, without NaN."""
    low = np.where(np.isfinite(values), values, np.inf).min(axis=-1)
    high = np.where(np.isfinite(values), values, -np.inf).max(axis=-1)
    return np.where(np.isfinite(low), high - low, np.nan)
