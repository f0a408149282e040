"""Frames of a video that are worth labelling: unlike each other, and badly predicted.

Frames are grouped by k-means over small grey copies and the time, as DeepLabCut does, and each
group gives one frame: the one closest to its mean, or with predictions the most doubtful one.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.frames import Skipped
from jaxpose.media.video import open_video
from jaxpose.results.people import People

MOST_FRAMES = 2000
"""Frames that are compared; of longer videos every n-th frame."""

_SIDE = 16  # pixels of a small copy
_ROUNDS = 30  # of k-means
_TIME = 0.5  # weight of the time beside the images
_DOUBTFUL = 4  # with predictions, number of doubtful frames for each that is chosen


def suggest_frames(
    video: Path,
    count: int,
    *,
    seed: int = 0,
    doubts: Mapping[int, float] | None = None,
    labelled: Collection[int] = (),
) -> list[int]:
    """Choose frames of a video; the same ones for the same seed.

    Args:
      video: the video.
      count: number of frames.
      seed: seed of k-means.
      doubts: doubt in the prediction of a frame, by its number (`doubts_of`).
      labelled: frames that are not chosen.

    Returns:
      Numbers of the frames, in order; fewer than `count` if the video has fewer.

    Raises:
      InputError: the video cannot be read, or has no frame that is not labelled.
    """
    numbers, copies = _small_copies(video)
    free = np.array([number not in labelled for number in numbers], bool)
    numbers, copies = numbers[free], copies[free]
    if not len(numbers):
        raise InputError(f"{video} has no frame that is not labelled.")
    doubt = np.array([(doubts or {}).get(int(number), 0.0) for number in numbers])
    if doubts is not None:
        kept = np.sort(np.argsort(-doubt, kind="stable")[: _DOUBTFUL * count])
        numbers, copies, doubt = numbers[kept], copies[kept], doubt[kept]
    if len(numbers) <= count:
        return numbers.tolist()
    features = copies - copies.mean(axis=0)
    features /= max(float(np.sqrt((features**2).sum(axis=1).mean())), 1e-6)
    time = np.linspace(-1, 1, len(numbers))[:, None] * np.sqrt(3) * _TIME
    features = np.concatenate([features, time], axis=1)
    groups, distances = _k_means(features, count, np.random.default_rng(seed))
    chosen = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        best = np.lexsort((distances[members], -doubt[members]))[0]
        chosen.append(members[best])
    while len(chosen) < count:  # groups of equal frames: the frame that is least like the chosen
        gaps = ((features[:, None] - features[None, chosen]) ** 2).sum(axis=-1).min(axis=1)
        gaps[chosen] = -1
        chosen.append(int(gaps.argmax()))
    return sorted(numbers[chosen].tolist())


def doubts_of(frames: Iterable[People]) -> dict[int, float]:
    """Doubt in the prediction of each frame of a video, in [0, 1], by its number.

    It is the rank of the frame's mean score, or of the largest jump of an individual since the last
    frame, relative to its box, whichever is higher. A frame without individuals has the highest.
    """
    found = [people for people in frames if people.index is not None]
    if not found:
        return {}
    low = np.array([1 - float(p.scores.mean()) if len(p) else 1.0 for p in found])
    jumps = np.zeros(len(found))
    for place in range(1, len(found)):
        jumps[place] = _jump(found[place - 1], found[place])
    ranks = np.maximum(_ranks(low), _ranks(jumps))
    return {int(p.index or 0): float(rank) for p, rank in zip(found, ranks, strict=True)}


def _jump(before: People, people: People) -> float:
    """Largest mean distance of an individual from the closest one before, in sizes of its box."""
    if not len(before) or not len(people) or people.index != (before.index or 0) + 1:
        return 0.0
    gaps = people.keypoints[:, None].astype(np.float64) - before.keypoints[None]
    distances = np.linalg.norm(gaps, axis=-1).mean(axis=-1).min(axis=1)
    sizes = np.linalg.norm(people.boxes_xywh[:, 2:], axis=1)
    return float((distances / np.maximum(sizes, 1.0)).max())


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in [0, 1]; equal values have the same one."""
    return np.searchsorted(np.sort(values), values) / max(len(values) - 1, 1)


def _small_copies(video: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numbers `[N]` and small grey copies `[N, 256]` of frames, evenly spread over a video."""
    skipped: list[Skipped] = []
    numbers: list[int] = []
    copies: list[np.ndarray] = []
    step = 1
    for frame in open_video(video, skipped.append):
        if frame.index % step:
            continue
        if len(numbers) == MOST_FRAMES:
            numbers, copies, step = numbers[::2], copies[::2], 2 * step
            if frame.index % step:
                continue
        small = cv2.resize(frame.image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        numbers.append(frame.index)
        copies.append(small.astype(np.float32).mean(axis=-1).ravel() / 255)
    if not numbers:
        reason = f": {skipped[0].reason}" if skipped else ""
        raise InputError(f"{video} has no frame that can be read{reason}.")
    return np.array(numbers), np.stack(copies)


def _k_means(
    features: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Group of each row `[N]` and its squared distance from the group's mean `[N]`.

    Begins with distant rows (k-means++, Arthur and Vassilvitskii 2007).
    """
    means = features[[rng.integers(len(features))]]
    while len(means) < count:
        nearest = _squared(features, means).min(axis=1)
        total = nearest.sum()
        if total <= 0:
            break
        row = rng.choice(len(features), p=nearest / total)
        means = np.concatenate([means, features[[row]]])
    for _ in range(_ROUNDS):
        groups = _squared(features, means).argmin(axis=1)
        moved = np.stack(
            [
                features[groups == group].mean(axis=0) if (groups == group).any() else mean
                for group, mean in enumerate(means)
            ]
        )
        if np.allclose(moved, means):
            break
        means = moved
    distances = _squared(features, means)
    return distances.argmin(axis=1), distances.min(axis=1)


def _squared(features: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Squared distances `[N, M]` of rows from means."""
    products = features @ means.T
    lengths = (features**2).sum(axis=1)[:, None] + (means**2).sum(axis=1)[None]
    return np.maximum(lengths - 2 * products, 0)
