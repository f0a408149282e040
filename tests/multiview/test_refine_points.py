"""Refinement: better than the linear answer at 5 px noise, exact without noise, refusals."""

import numpy as np
import pytest
from walker import BONES, motion, ring, seen

from jaxpose.errors import InputError
from jaxpose.multiview.refine import Priors, refine
from jaxpose.multiview.triangulate import triangulate

PRIORS = Priors(BONES, fps=25.0)  # a list, as `Skeleton.limb_indices` is


def mean_error(found, points) -> float:
    return float(np.linalg.norm(np.asarray(found) - points, axis=-1).mean())


def test_exact_projections_stay_where_they_are():
    cameras, points = ring(4), motion(25)
    pixels = seen(cameras, points)
    # float32 projects to 1e-3 px at worst.
    assert mean_error(refine(cameras, pixels, points), points) < 0.02
    off = points + np.random.default_rng(0).normal(size=points.shape) * 50
    assert mean_error(refine(cameras, pixels, off), points) < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_priors_beat_the_linear_answer_by_a_fifth(seed):
    cameras, points = ring(4), motion(25, seed=seed)
    pixels = seen(cameras, points, noise=5.0, seed=seed)
    linear = triangulate(cameras, pixels)
    alone = refine(cameras, pixels, linear)
    together = refine(cameras, pixels, linear, priors=PRIORS)
    assert mean_error(alone, points) < 1.01 * mean_error(linear, points)
    assert mean_error(together, points) < 0.8 * mean_error(linear, points)
    bones = np.asarray(BONES).T
    lengths = np.linalg.norm(np.asarray(together)[:, bones[1]] - together[:, bones[0]], axis=-1)
    assert lengths.std(axis=0).max() < 5


def test_priors_carry_a_joint_that_nobody_sees():
    cameras, points = ring(4), motion(25)
    pixels = seen(cameras, points)
    weights = np.ones(pixels.shape[:-1])
    weights[:, 10:14, 5] = 0
    start = points.copy()
    start[10:14, 5] = points[9, 5]
    found = np.asarray(refine(cameras, pixels, start, weights, priors=PRIORS))
    hidden = np.linalg.norm(found - points, axis=-1)[10:14, 5]
    assert hidden.max() < 0.5 * np.linalg.norm(start - points, axis=-1)[10:14, 5].max()
    kept = np.asarray(refine(cameras, pixels, start, weights))
    np.testing.assert_allclose(kept[10:14, 5], start[10:14, 5], atol=1e-3)


def test_refusals():
    cameras, points = ring(3), motion(25)
    pixels = seen(cameras, points)
    with pytest.raises(InputError, match="not finite"):
        refine(cameras, pixels, points * np.nan)
    with pytest.raises(InputError, match=r"\[frames, joints, 3\]"):
        refine(cameras, pixels, points[:4])
