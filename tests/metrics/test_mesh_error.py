"""Errors of meshes against their definitions."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.metrics.mesh_error import acceleration_error, f_score, pa_mpvpe, pve

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0, 200, (5, 30, 3))


def test_a_shift_counts_unless_the_roots_are_aligned():
    moved = TRUTH + np.array([3.0, 0, 4])
    assert pve(moved, TRUTH) == pytest.approx(5)
    roots = moved[:, 0], TRUTH[:, 0]
    assert pve(moved, TRUTH, roots) == pytest.approx(0, abs=1e-9)


def test_a_similarity_does_not_count_after_alignment_but_a_mirror_does():
    turned = 1.3 * TRUTH @ matrix_from_axis_angle(np.array([0.3, 1.0, -2.0])).T + 50
    assert pa_mpvpe(turned, TRUTH) == pytest.approx(0, abs=1e-6)
    assert pa_mpvpe(turned * [1, 1, -1], TRUTH) > 50


def test_acceleration_is_the_second_difference():
    frames = np.arange(5.0)[:, None, None]
    steady = TRUTH + frames * np.array([7.0, 0, 0])
    assert acceleration_error(steady, TRUTH) == pytest.approx(0, abs=1e-9)
    # 1/2 a t² has the second difference a.
    assert acceleration_error(TRUTH + frames**2 * [0, 2.0, 0], TRUTH) == pytest.approx(4)
    with pytest.raises(InputError, match="three frames"):
        acceleration_error(TRUTH[:2], TRUTH[:2])


def test_f_scores_equal_a_search_over_all_pairs():
    found = TRUTH + RNG.normal(0, 6, TRUTH.shape)
    for threshold in (5.0, 15.0):
        scores = []
        for a, b in zip(found, TRUTH, strict=True):
            away = np.linalg.norm(a[:, None] - b[None], axis=-1)
            precision, recall = (away.min(axis=i) < threshold for i in (1, 0))
            p, r = precision.mean(), recall.mean()
            scores.append(2 * p * r / (p + r) if p + r else 0)
        assert f_score(found, TRUTH, threshold) == pytest.approx(np.mean(scores))
    assert f_score(TRUTH, TRUTH, 1.0) == 1
    assert f_score(TRUTH + 1e4, TRUTH, 5.0) == 0


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"\[frames, points, 3\]"):
        pve(TRUTH[:, :4], TRUTH)
