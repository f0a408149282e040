"""Robust triangulation by RANSAC over pairs of views, for views with wrong detections."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from jaxpose.geometry.cameras import Camera
from jaxpose.multiview.triangulate import checked_views, reprojection_errors, triangulate


class Robust(NamedTuple):
    """Result of `triangulate_robust`.

    Attributes:
      points: `[..., 3]` mm; NaN where no two views agree.
      inliers: `[V, ...]` bool, the views used for each point. Two inliers of three or more views
        are weak evidence: any two views nearly agree along the epipolar line.
    """

    points: np.ndarray
    inliers: np.ndarray


def triangulate_robust(
    cameras: Camera,
    keypoints: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    threshold: float = 20.0,
    max_pairs: int = 200,
    seed: int = 0,
) -> Robust:
    """Triangulates each point from the views that agree on it (NumPy, float64).

    Every pair of views proposes a point; the point with the smallest truncated squared reprojection
    error over all views wins (MSAC), and its inliers are triangulated together. Above `max_pairs`
    pairs, a random subset of them, fixed by `seed`, is used.

    Args:
      cameras: `[V]`.
      keypoints: `[V, ..., 2]` pixels.
      weights: `[V, ...]` confidences, 0 where missing; as in `triangulate`.
      threshold: largest reprojection error of an inlier, pixels.

    Raises:
      InputError: as `triangulate`.

    Torr and Zisserman, "MLESAC", CVIU 2000, section 3.
    """
    keypoints, weights = checked_views(cameras, keypoints, weights)
    pairs = list(combinations(range(len(keypoints)), 2))
    if len(pairs) > max_pairs:
        chosen = np.random.default_rng(seed).choice(len(pairs), max_pairs, replace=False)
        pairs = [pairs[i] for i in sorted(chosen)]

    best = np.full((*keypoints.shape[1:-1], 3), np.nan)
    lowest = np.full(keypoints.shape[1:-1], np.inf)
    for pair in map(list, pairs):
        points = triangulate(cameras.take(pair), keypoints[pair], weights[pair])
        cost = _truncated(cameras, keypoints, weights, points, threshold)
        better = cost < lowest
        best = np.where(better[..., None], points, best)
        lowest = np.where(better, cost, lowest)

    points, inliers = best, np.zeros(weights.shape, bool)
    for _ in range(2):
        errors = reprojection_errors(cameras, keypoints, points)
        inliers = (errors < threshold) & (weights > 0)
        points = triangulate(cameras, keypoints, weights * inliers)
    return Robust(points, inliers & np.isfinite(points).all(axis=-1)[None])


def _truncated(
    cameras: Camera,
    keypoints: np.ndarray,
    weights: np.ndarray,
    points: np.ndarray,
    threshold: float,
) -> np.ndarray:
    errors = reprojection_errors(cameras, keypoints, points)
    cost = (weights * np.minimum(errors, threshold) ** 2).sum(axis=0)
    return np.where(np.isfinite(points).all(axis=-1), cost, np.inf)
