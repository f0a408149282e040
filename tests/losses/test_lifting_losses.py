"""Losses of lifters against their definitions written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import MPJPE, WeightedSum
from jaxpose.losses.lifting import (
    NMPJPE,
    Acceleration,
    MeanBoneLength,
    Reprojection,
    SemiSupervised,
    TrajectoryMPJPE,
    TrajectoryTargets,
    Velocity,
)

rng = np.random.default_rng(0)
OUTPUTS = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
TARGETS = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
ONES = np.ones((2, 3, 4), np.float32)
BONES = ((0, 1), (1, 2), (1, 3))


def test_the_trajectory_counts_by_depth():
    root = np.array([[[[0.0, 0.0, 2.0]]], [[[0.0, 0.0, 4.0]]]], np.float32)
    off = root + np.array([3.0, 4.0, 0.0], np.float32)
    loss = TrajectoryMPJPE()(off, root, np.ones((2, 1, 1), np.float32))
    assert float(loss) == pytest.approx((5 / 2 + 5 / 4) / 2)


def test_bones_are_compared_on_average_over_batches_of_any_size():
    def mean_lengths(poses):
        ends = np.array(BONES)
        bones = poses[..., ends[:, 0], :] - poses[..., ends[:, 1], :]
        return np.linalg.norm(bones, axis=-1).reshape(-1, len(BONES)).mean(axis=0)

    labelled = TARGETS[:1]
    expected = np.abs(mean_lengths(OUTPUTS) - mean_lengths(labelled)).mean()
    loss = MeanBoneLength(BONES)
    assert float(loss(OUTPUTS, labelled, ONES)) == pytest.approx(expected, rel=1e-5)
    # Turned and exchanged among people, the bones stay as long as they were.
    assert float(loss(TARGETS[::-1] * -1, TARGETS, ONES)) == pytest.approx(0, abs=1e-6)


def test_bones_without_known_ends_count_nothing():
    weights = ONES * np.array([1, 0, 1, 1], np.float32)
    assert float(MeanBoneLength(BONES)(OUTPUTS, TARGETS, weights)) == 0


def test_reprojection_is_zero_for_what_the_camera_saw():
    root = np.array([0.2, -0.1, 4.0], np.float32) * np.ones((2, 3, 1, 3), np.float32)
    pose = OUTPUTS * 0.3
    joints = pose + root
    seen = joints[..., :2] / joints[..., 2:]
    loss = Reprojection()
    assert float(loss((pose, root), seen, ONES)) == pytest.approx(0, abs=1e-6)
    shifted = seen + np.array([0.03, 0.04], np.float32)
    assert float(loss((pose, root), shifted, ONES)) == pytest.approx(0.05, rel=1e-4)


def test_reprojection_has_a_finite_gradient_behind_the_camera():
    behind = np.zeros((1, 1, 1, 3), np.float32)
    gradient = jax.jit(
        jax.grad(lambda pose: Reprojection()((pose, behind), TARGETS[:1, :1, :, :2], ONES[:1, :1]))
    )(jnp.asarray(OUTPUTS[:1, :1]))
    assert jnp.isfinite(gradient).all()


def test_velocity_sees_motion_and_not_place():
    expected = np.linalg.norm(np.diff(OUTPUTS, axis=1) - np.diff(TARGETS, axis=1), axis=-1).mean()
    loss = Velocity()
    assert float(loss(OUTPUTS, TARGETS, ONES)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(TARGETS + 7, TARGETS, ONES)) == pytest.approx(0, abs=1e-5)
    assert float(loss(OUTPUTS[:, :1], TARGETS[:, :1], ONES[:, :1])) == 0


def test_acceleration_sees_bends_and_not_velocity():
    bends = np.diff(OUTPUTS - TARGETS, 2, axis=1)
    loss = Acceleration()
    expected = np.linalg.norm(bends, axis=-1).mean()
    assert float(loss(OUTPUTS, TARGETS, ONES)) == pytest.approx(expected, rel=1e-5)
    steady = np.arange(3, dtype=np.float32)[None, :, None, None]
    assert float(loss(TARGETS + steady, TARGETS, ONES)) == pytest.approx(0, abs=1e-5)
    weights = ONES.copy()
    weights[:, 2] = 0
    assert float(loss(OUTPUTS, TARGETS, weights)) == 0
    assert float(loss(OUTPUTS[:, :2], TARGETS[:, :2], ONES[:, :2])) == 0


def test_a_frame_without_weight_takes_both_its_differences_out():
    weights = ONES.copy()
    weights[:, 1] = 0
    assert float(Velocity()(OUTPUTS, TARGETS, weights)) == 0


def test_n_mpjpe_forgives_scale_alone():
    loss = NMPJPE()
    assert float(loss(0.2 * TARGETS, TARGETS, ONES)) == pytest.approx(0, abs=1e-5)
    axes = (2, 3)
    scale = (OUTPUTS * TARGETS).sum(axes, keepdims=True) / (OUTPUTS**2).sum(axes, keepdims=True)
    expected = np.linalg.norm(scale * OUTPUTS - TARGETS, axis=-1).mean()
    assert float(loss(OUTPUTS, TARGETS, ONES)) == pytest.approx(expected, rel=1e-5)


def test_motionberts_loss_is_a_sum():
    loss = WeightedSum((MPJPE(), NMPJPE(), Velocity()), (1.0, 0.5, 20.0))
    parts = [part(OUTPUTS, TARGETS, ONES) for part in loss.losses]
    expected = float(parts[0] + 0.5 * parts[1] + 20 * parts[2])
    assert float(loss(OUTPUTS, TARGETS, ONES)) == pytest.approx(expected, rel=1e-6)


def test_each_term_of_the_semi_supervised_loss_is_a_mean_over_its_own_share():
    place = np.broadcast_to(np.array([0.1, 0.2, 8.0], np.float32), (2, 3, 1, 3))
    joints = TARGETS + place
    targets = TrajectoryTargets(TARGETS, place, joints[..., :2] / joints[..., 2:])
    first = np.array([1.0, 0.0], np.float32)[:, None, None]  # the first sample has labels
    weights = TrajectoryTargets(ONES * first, ONES[..., :1] * first, ONES * (1 - first))
    loss = SemiSupervised(BONES, reprojection=2.0, bone_length=3.0)
    root = place + np.array([0.0, 0.0, 1.0], np.float32)
    outputs = OUTPUTS, root
    one = ONES[:1]
    expected = (
        MPJPE()(OUTPUTS[:1], TARGETS[:1], one)
        + TrajectoryMPJPE()(root[:1], place[:1], one[..., :1])
        + 2 * Reprojection()((OUTPUTS[1:], root[1:]), targets.rays[1:], one)
        + 3 * MeanBoneLength(BONES)(OUTPUTS[1:], TARGETS[:1], one)
    )
    assert float(loss(outputs, targets, weights)) == pytest.approx(float(expected), rel=1e-5)
    labelled = TrajectoryTargets(ONES, ONES[..., :1], 0 * ONES)
    expected = MPJPE()(OUTPUTS, TARGETS, ONES) + TrajectoryMPJPE()(root, place, ONES[..., :1])
    assert float(loss(outputs, targets, labelled)) == pytest.approx(float(expected), rel=1e-5)
