"""Smoothing of keypoints over the frames of a video, person by person."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jaxpose.errors import InputError
from jaxpose.motion.smooth import OneEuro, savitzky_golay
from jaxpose.motion.timing import DEFAULT_FPS, Clock, even_clock
from jaxpose.results.people import People
from jaxpose.tracking.pose_nms import box_around

# The filter's speeds are scaled to a person of this many pixels, for any size in the image.
_SIZE = 300.0
# The filter restarts for a track without a person for this many seconds.
_FORGET = 0.5

Fit = Callable[[np.ndarray, np.ndarray, float, int | None], np.ndarray]
"""Function of a track's keypoints `[T, K, 2]` (NaN where the person is absent), their scores
`[T, K]`, frames per second and the one frame whose result is needed (None: all) to keypoints
`[T, K, 2]`; NaN where it gives none."""


@dataclass(frozen=True)
class Smoothing:
    """Options for smoothing tracked keypoints.

    Attributes:
      method: `one-euro` is causal, for live video; `savitzky-golay` uses later frames and has no
        lag, but returns each result `window - 1` frames later.
      min_cutoff: Hz at rest, of the one-euro filter.
      beta: Hz per px/s of a person 300 px tall. With 0.1 the error from lag is no larger than the
        noise removed, down to 10 frames per second; a smaller value is steadier and lags more.
      window: odd number of frames, of Savitzky-Golay. Where frames are not evenly spaced, rows at
        an even rate in the place of frames (`motion.timing`).
      order: degree of its polynomial.
    """

    method: Literal["one-euro", "savitzky-golay"] = "one-euro"
    min_cutoff: float = 1.0
    beta: float = 0.1
    window: int = 7
    order: int = 2

    def __post_init__(self) -> None:
        if self.method not in ("one-euro", "savitzky-golay"):
            raise InputError(f"smoothing is 'one-euro' or 'savitzky-golay', not {self.method!r}")


def smooth_people(results: Iterable[People], options: Smoothing) -> Iterator[People]:
    """Smooths keypoints of videos; scores and boxes stay.

    People without a track id, and single images, are not changed. A change of the source starts a
    new video.
    """
    if options.method == "one-euro":
        return _causal(results, options)
    return _centred(results, options)


@dataclass
class _Filter:
    step: OneEuro
    seconds: float
    scale: float


def _causal(results: Iterable[People], options: Smoothing) -> Iterator[People]:
    filters: dict[int, _Filter] = {}
    source = None
    for people in results:
        if people.track_ids is None or people.seconds is None:
            yield people
            continue
        now = people.seconds
        filters = {i: f for i, f in filters.items() if now - f.seconds <= _FORGET}
        if people.source != source:
            filters, source = {}, people.source
        smooth = np.array(people.keypoints)
        for row, number in enumerate(people.track_ids.tolist()):
            if number not in filters:
                height = box_around(people.keypoints[row][None], people.scores[row][None])[0, 2:]
                size = float(np.max(height)) if np.isfinite(height).all() else 0.0
                step = OneEuro(options.min_cutoff, options.beta)
                filters[number] = _Filter(step, now, _SIZE / max(size, 1.0))
            one = filters[number]
            fps = 1 / max(now - one.seconds, 1e-3)
            smooth[row] = one.step(people.keypoints[row] * one.scale, fps) / one.scale
            one.seconds = now
        yield replace(people, keypoints=smooth)


def fit_people(
    results: Iterable[People], fit: Fit, reach: Callable[[float], int]
) -> Iterator[People]:
    """Replaces the keypoints of each track by a function of the frames around each frame.

    Scores and boxes stay, and so do people without a track id and single images. A change of the
    source starts a new video. Each result is held back until the frames after it are there.

    Args:
      results: frames of videos, in order.
      fit: called for each person with the track in the frames around one frame. It gets rows at
        an even rate in the place of frames that are not evenly spaced.
      reach: number of frames before and after a frame that `fit` needs, from frames per second.
    """
    around: deque[People] = deque()
    place = side = 0
    for people in results:
        if around and people.source != around[-1].source:
            yield from _rest(around, place, fit)
            around, place = deque(), 0
        if not around:
            side = reach(people.fps or DEFAULT_FPS)
        around.append(people)
        if len(around) - place > side:
            yield _fitted(around, place, fit)
            place += 1
        if place > side:
            around.popleft()
            place -= 1
    yield from _rest(around, place, fit)


def _centred(results: Iterable[People], options: Smoothing) -> Iterator[People]:
    def fit(track: np.ndarray, scores: np.ndarray, fps: float, only: int | None) -> np.ndarray:
        return savitzky_golay(track, options.window, options.order)

    # With window - 1 frames on either side, the result equals that of the whole video.
    return fit_people(results, fit, lambda fps: options.window - 1)


def _rest(around: deque[People], place: int, fit: Fit) -> Iterator[People]:
    for index in range(place, len(around)):
        yield _fitted(around, index, fit)


def _fitted(around: deque[People], place: int, fit: Fit) -> People:
    people = around[place]
    if people.track_ids is None or people.seconds is None:
        return people
    clock = _clock(around)
    smooth = np.array(people.keypoints)
    for row, number in enumerate(people.track_ids.tolist()):
        track = np.full((len(around), *smooth.shape[1:]), np.nan)
        scores = np.zeros(track.shape[:2])
        for frame, other in enumerate(around):
            if other.track_ids is not None:
                for found in np.flatnonzero(other.track_ids == number)[:1]:
                    track[frame], scores[frame] = other.keypoints[found], other.scores[found]
        if clock is None or clock.even:
            fps = people.fps or DEFAULT_FPS if clock is None else clock.fps
            fitted = fit(track, scores, fps, place)[place]
        else:
            rows, certain = (clock.to_rows(part, _FORGET) for part in (track, scores))
            fitted = clock.to_frames(fit(rows, np.nan_to_num(certain), clock.fps, None))[place]
        smooth[row] = np.where(np.isfinite(fitted), fitted, smooth[row])
    return replace(people, keypoints=smooth)


def _clock(around: deque[People]) -> Clock | None:
    """Even rows for the frames; None for a single frame, or if they run backwards."""
    stamps = [people.seconds for people in around if people.seconds is not None]
    if len(stamps) < len(around) or len(stamps) < 2:
        return None
    try:
        return even_clock(np.array(stamps), around[0].fps)
    except InputError:
        return None
