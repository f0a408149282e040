"""RANSAC over views: 30 % of the views see something else."""

import numpy as np
import pytest
from walker import motion, ring, seen

from jaxpose.multiview.robust import triangulate_robust
from jaxpose.multiview.triangulate import triangulate


def outliers(pixels: np.ndarray, number: int, seed: int) -> np.ndarray:
    """bool `[V, T, K]`: `number` views of each point, replaced by random pixels in place."""
    rng = np.random.default_rng(seed)
    order = rng.random(pixels.shape[:-1]).argsort(axis=0)
    wrong = order < number
    pixels[wrong] = rng.uniform(0, 1000, (int(wrong.sum()), 2))
    return wrong


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_30_percent_outlier_views(seed):
    cameras, points = ring(10), motion(4, seed=seed)
    pixels = seen(cameras, points, noise=2.0, seed=seed)
    clean = np.linalg.norm(triangulate(cameras, pixels) - points, axis=-1)
    wrong = outliers(pixels, 3, seed)
    plain = np.linalg.norm(triangulate(cameras, pixels) - points, axis=-1)
    found = triangulate_robust(cameras, pixels)
    error = np.linalg.norm(found.points - points, axis=-1)
    # Seven views instead of ten cost sqrt(10 / 7); random pixels move the plain answer far.
    assert error.mean() < 1.5 * clean.mean() < 0.1 * plain.mean()
    assert error.max() < 50
    assert (found.inliers & wrong).mean() < 0.005
    assert (found.inliers | wrong).mean() > 0.995


def test_one_of_four_and_missing_views():
    cameras, points = ring(4), motion(3)
    pixels = seen(cameras, points)
    outliers(pixels, 1, 0)
    weights = np.ones(pixels.shape[:-1])
    weights[:3, 0, 0] = 0
    found = triangulate_robust(cameras, pixels, weights, threshold=3.0)
    error = np.linalg.norm(found.points - points, axis=-1)
    assert np.isnan(error[0, 0]) and not found.inliers[:, 0, 0].any()
    assert np.sort(error.ravel())[:-1].max() < 5


def test_many_pairs_are_sampled():
    cameras, points = ring(10), motion(1)
    pixels = seen(cameras, points)
    outliers(pixels, 3, 3)
    found = triangulate_robust(cameras, pixels, max_pairs=20, seed=1)
    again = triangulate_robust(cameras, pixels, max_pairs=20, seed=1)
    np.testing.assert_array_equal(found.points, again.points)
    assert np.median(np.linalg.norm(found.points - points, axis=-1)) < 1.0
