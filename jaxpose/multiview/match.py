"""Matching of detections between views: groups those of the same person."""

from collections.abc import Sequence

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, rays


def ray_distances(cameras: Camera, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances between the lines of sight of two views, mm: zero on the epipolar line.

    Args:
      cameras: `[2]`.
      first: `[..., 2]` pixels in the first view; `second` in the second, of one shape.
    """
    shape = first.shape[:-1]
    a, along_a = rays(cameras.take(0), np.asarray(first, np.float64).reshape(-1, 2))
    b, along_b = rays(cameras.take(1), np.asarray(second, np.float64).reshape(-1, 2))
    across = np.cross(along_a, along_b)
    length = np.linalg.norm(across, axis=-1)
    between = np.broadcast_to(b - a, along_a.shape)
    skew = np.abs((between * across).sum(axis=-1)) / np.maximum(length, 1e-12)
    parallel = np.linalg.norm(np.cross(between, along_a), axis=-1)
    return np.where(length > 1e-6, skew, parallel).reshape(shape)


def match_people(
    cameras: Camera,
    people: Sequence[np.ndarray],
    weights: Sequence[np.ndarray] | None = None,
    *,
    limit: float = 100.0,
) -> list[np.ndarray]:
    """Groups the detections of one moment into people, at most one detection per view and person.

    The two groups with the smallest mean distance are joined, repeatedly, until no distance is
    below `limit`; so every group is consistent over all its views.

    Args:
      cameras: `[V]`, V >= 2.
      people: for each view `[P_v, K, 2]` pixels; P_v may be 0.
      weights: for each view `[P_v, K]`, above 0 where the keypoint is visible; None for all.
      limit: largest mean ray distance of one person over the common keypoints, mm.

    Returns:
      for each view `[P_v]` int: the person's number. A detection without a match in another view
      has a separate number.

    Raises:
      InputError: one view only, not one array per camera, or invalid cameras.
    """
    if len(people) < 2 or len(people) != len(np.atleast_3d(cameras.K)):
        raise InputError(
            f"matching needs two views or more and people for each: {len(people)} arrays for "
            f"cameras of shape {cameras.K.shape[:-2]}"
        )
    check_cameras(cameras)
    if weights is None:
        weights = [np.ones(p.shape[:-1]) for p in people]
    view = np.repeat(np.arange(len(people)), [len(p) for p in people])
    distances = _all_distances(cameras, people, weights)
    groups = [[i] for i in range(len(view))]
    while len(groups) > 1:
        gap, i, j = min(
            (_linkage(distances, view, groups[i], groups[j]), i, j)
            for i in range(len(groups))
            for j in range(i)
        )
        if gap > limit:
            break
        groups[j] += groups.pop(i)
    number = np.zeros(len(view), int)
    for label, group in enumerate(sorted(groups, key=min)):
        number[group] = label
    return [number[view == v] for v in range(len(people))]


def _all_distances(
    cameras: Camera, people: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> np.ndarray:
    """Mean ray distances `[N, N]` of all detections.

    NaN for two detections in one view or without a common keypoint.
    """
    start = np.cumsum([0, *(len(p) for p in people)])
    table = np.full((start[-1], start[-1]), np.nan)
    for a in range(len(people)):
        for b in range(a + 1, len(people)):
            if not len(people[a]) or not len(people[b]):
                continue
            first, second = np.broadcast_arrays(people[a][:, None], people[b][None])
            common = (weights[a][:, None] > 0) & (weights[b][None] > 0)
            gaps = np.where(common, ray_distances(cameras.take([a, b]), first, second), 0.0)
            count = common.sum(axis=-1)
            mean = np.where(count > 0, gaps.sum(axis=-1) / np.maximum(count, 1), np.nan)
            table[start[a] : start[a + 1], start[b] : start[b + 1]] = mean
            table[start[b] : start[b + 1], start[a] : start[a + 1]] = mean.T
    return table


def _linkage(distances: np.ndarray, view: np.ndarray, one: list[int], other: list[int]) -> float:
    if set(view[one]) & set(view[other]):
        return np.inf
    links = distances[np.ix_(one, other)]
    return float(np.nanmean(links)) if np.isfinite(links).any() else np.inf
