"""Bone lengths, units, joint limits, gaps and smoothing."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry.bones import bone_lengths, check_millimetres
from jaxpose.motion.bones import consistency
from jaxpose.motion.fill import check_order, fill_gaps
from jaxpose.motion.limits import beyond_limits, joint_angles
from jaxpose.motion.smooth import one_euro, savitzky_golay
from jaxpose.skeletons.h36m17 import H36M17

CHAIN = [(0, 1), (1, 2)]


def leg(frames: int = 4) -> np.ndarray:
    return np.tile(np.array([[0.0, 0, 900], [0, 0, 450], [0, 0, 0]]), (frames, 1, 1))


def test_bone_lengths_and_their_spread():
    points = leg()
    points[0, 2, 2] = -45
    points[1, 2] = np.nan
    np.testing.assert_array_equal(bone_lengths(points, CHAIN)[0], [450, 495])
    found = consistency(points, CHAIN)
    np.testing.assert_allclose(found.median, [450, 450])
    assert found.spread[0] == 0 and 0.04 < found.spread[1] < 0.06
    points[:, 2] = np.nan
    assert np.isnan(consistency(points, CHAIN).median[1])


def test_units_are_told_by_the_bones():
    check_millimetres(leg(), CHAIN)
    with pytest.raises(InputError, match=r"in metres.*multiply the points by 1000"):
        check_millimetres(leg() / 1000, CHAIN)
    with pytest.raises(InputError, match=r"in centimetres.*by 10"):
        check_millimetres(leg() / 10, CHAIN)
    with pytest.raises(InputError, match="no body"):
        check_millimetres(leg() * 1000, CHAIN)
    with pytest.raises(InputError, match="every joint is missing"):
        check_millimetres(leg() * np.nan, CHAIN)


def test_joint_limits():
    points = np.random.default_rng(0).normal(size=(3, 17, 3)) * 1000
    hip, knee, foot = (H36M17.index(f"left_{n}") for n in ("hip", "knee", "foot"))
    points[0, [hip, knee, foot]] = [[0, 0, 0], [0, 0, -400], [0, 400, -400]]
    points[1, [hip, knee, foot]] = [[0, 0, 0], [0, 0, -400], [0, 0, -50]]
    points[2, foot] = np.nan
    np.testing.assert_allclose(joint_angles(points[:1], [[hip, knee, foot]]), [[90]])
    found = beyond_limits(points, H36M17)
    assert set(found) == {"left_elbow", "right_elbow", "left_knee", "right_knee"}
    assert found["left_knee"][0] == 0 and found["left_knee"][1] == pytest.approx(15)
    assert np.isnan(found["left_knee"][2])


def test_real_people_keep_the_limits(shared):
    with np.load(shared / "data" / "lifting" / "h36m_fk17_10hz.npz") as clips:
        points = 1000.0 * clips["S9/sitting_1"]
    for name, degrees in beyond_limits(points, H36M17).items():
        assert (degrees > 0).mean() < 0.01, name


def test_short_gaps_are_filled():
    points = np.arange(12.0)[:, None, None] * np.array([[[1.0, 2, 3]]])
    visible = np.ones((12, 1))
    visible[[0, 3, 4, 7, 8, 9]] = 0
    filled, known = fill_gaps(points, visible, max_gap=2)
    np.testing.assert_array_equal(np.flatnonzero(~known[:, 0]), [0, 7, 8, 9])
    np.testing.assert_allclose(filled[known], points[known])
    assert np.isnan(filled[~known]).all()
    times = np.arange(12.0) ** 2
    uneven, _ = fill_gaps(points**2, visible, max_gap=2, times=times)
    np.testing.assert_allclose(uneven[3:5, 0, 0], [9, 16])


def test_frames_out_of_order():
    check_order(np.array([1, 2, 5]))
    with pytest.raises(InputError, match="entry 2 has time 1 after 3"):
        check_order(np.array([0, 3, 1]))
    with pytest.raises(InputError, match="out of order"):
        fill_gaps(leg(), times=np.array([0, 1, 1, 2]))
    with pytest.raises(InputError, match="flags of shape"):
        fill_gaps(leg(), np.ones((2, 3)))


def test_smoothing_halves_noise_and_keeps_motion():
    seconds = np.arange(200)[:, None, None] / 50.0
    clean = 300 * np.sin(2 * np.pi * 0.5 * seconds + np.arange(3.0)[None, None])
    noisy = clean + 10 * np.random.default_rng(0).normal(size=clean.shape)

    def error(found):
        return np.sqrt(((found - clean)[20:-20] ** 2).mean())

    assert error(savitzky_golay(noisy, 15, 3)) < 0.5 * error(noisy)
    # Causal, so it pays with lag: less jitter, and no further off than 20 ms of motion.
    causal = one_euro(noisy, 50.0, min_cutoff=2.0, beta=0.01)
    assert np.diff(causal, 2, axis=0).std() < 0.5 * np.diff(noisy, 2, axis=0).std()
    assert error(causal) < 0.02 * np.abs(np.diff(clean, axis=0)).max() * 50
    np.testing.assert_allclose(savitzky_golay(clean**0 * 7), 7)
    still = 5 + np.random.default_rng(1).normal(size=(200, 1))
    assert one_euro(still, 50.0)[50:].std() < 0.5


def test_smoothing_leaves_gaps():
    points = np.ones((30, 1, 2))
    points[10:12] = np.nan
    points[12:] = 5
    for found in (savitzky_golay(points), one_euro(points, 25.0)):
        np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
        np.testing.assert_allclose(found[13:], 5)
    with pytest.raises(InputError, match="odd"):
        savitzky_golay(points, 6)
