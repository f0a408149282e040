"""The MPJPE family: MMPose 1.3.2 (golden/metrics.npz), invariances, masks."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxpose.errors import InputError
from jaxpose.metrics.mpjpe import auc3d, mpjpe, mpjve, n_mpjpe, p_mpjpe, pck3d, root_relative

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")


def as_mmpose(metric):
    return lambda *arrays: metric(*arrays, aligned_on="all")


@pytest.mark.parametrize(
    ("golden_case", "metric"),
    [
        ("metric/mpjpe/none", mpjpe),
        ("metric/mpjpe/procrustes", as_mmpose(p_mpjpe)),
        ("metric/mpjpe/scale", as_mmpose(n_mpjpe)),
    ],
)
def test_golden(golden_case, metric):
    pred, gt, mask, value = (
        GOLDEN[f"{golden_case}/{name}"] for name in ("pred", "gt", "mask", "value")
    )
    # The reference sums in float32.
    assert metric(pred, gt, mask) == pytest.approx(float(value), rel=1e-5)


def poses() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 17, 3)) * 300
    return truth + rng.normal(size=truth.shape) * 40, truth


def test_p_mpjpe_forgets_a_similarity_and_n_mpjpe_a_scale():
    predicted, truth = poses()
    turned = 0.5 * predicted @ Rotation.random(random_state=0).as_matrix().T + 77
    assert p_mpjpe(turned, truth) == pytest.approx(p_mpjpe(predicted, truth))
    assert n_mpjpe(3 * predicted, truth) == pytest.approx(n_mpjpe(predicted, truth))
    assert p_mpjpe(predicted, truth) < n_mpjpe(predicted, truth) < mpjpe(predicted, truth)
    assert p_mpjpe(truth * [-1, 1, 1], truth) > 100


@pytest.mark.parametrize("metric", [mpjpe, p_mpjpe, n_mpjpe, mpjve, pck3d, auc3d])
def test_unknown_joints_have_no_say(metric):
    predicted, truth = poses()
    visible = np.ones((5, 17))
    visible[:, 3] = visible[2, 5] = 0
    expected = metric(predicted, truth, visible)
    predicted[:, 3], truth[:, 3] = 1e9, np.nan
    predicted[2, 5] = np.nan
    assert metric(predicted, truth, visible) == pytest.approx(expected)
    assert metric(predicted, truth, np.zeros((5, 17))) == -1


def test_shares_by_hand():
    truth = np.zeros((1, 4, 3))
    predicted = truth.copy()
    predicted[0, :, 0] = [0, 75, 149.9, 150]
    assert pck3d(predicted, truth) == 0.75
    # Thresholds above the distance: 30 of 31, 15, 1, none.
    assert auc3d(predicted, truth) == pytest.approx((30 + 15 + 1) / 31 / 4)
    predicted[0, 0] = np.nan
    assert pck3d(predicted, truth) == 0.5


def test_velocity_ignores_a_constant_offset():
    truth = poses()[1]
    assert mpjve(truth + 100, truth) == pytest.approx(0)
    drifting = truth + np.arange(5.0)[:, None, None] * [3, 4, 0]
    assert mpjve(drifting, truth) == pytest.approx(5)


def test_root_relative():
    moved = root_relative(poses()[0], 2)
    np.testing.assert_array_equal(moved[:, 2], 0)


def test_wrong_shapes():
    predicted, truth = poses()
    with pytest.raises(InputError, match=r"\[N, K, 3\]"):
        mpjpe(predicted[:, :16], truth)
    with pytest.raises(InputError, match="not finite"):
        mpjpe(predicted, truth * np.nan)
