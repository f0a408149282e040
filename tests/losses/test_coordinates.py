"""Coordinate losses against MMPose 1.3.2 (golden/losses.npz), and hand-made cases."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import L1, MPJPE, OKS, BoneLength, SmoothL1, Wing

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses.npz")
PARITY = 2e-6  # one float32 sum in another order
CASES = ("loss/smooth_l1", "loss/wing", "loss/l1", "loss/mpjpe")
LOSSES = dict(zip(CASES, (SmoothL1(), Wing(), L1(), MPJPE()), strict=True))
BONES = ((0, 1), (1, 2), (2, 3))


def case(name):
    # MMPose has the weight of a keypoint once for each coordinate.
    keys = (GOLDEN[f"{name}/{key}"] for key in ("output", "target", "weight"))
    outputs, targets, weights = map(jnp.asarray, keys)
    return outputs, targets, weights[..., 0]


@pytest.mark.parametrize("golden_case", CASES)
def test_matches_golden(golden_case):
    value = LOSSES[golden_case](*case(golden_case))
    # MMPose's wing loss sums over keypoints where we take the mean.
    number = 17 if golden_case == "loss/wing" else 1
    np.testing.assert_allclose(value * number, GOLDEN[f"{golden_case}/value"], rtol=PARITY)


EVERY = [*LOSSES.values(), BoneLength(BONES), OKS((0.05,) * 17)]


@pytest.mark.parametrize("loss", EVERY)
def test_weight_zero_is_ignored(loss):
    outputs, targets, _ = case("loss/l1")
    weights = jnp.ones((2, 17)).at[1].set(0.0)
    value, gradient = jax.value_and_grad(loss)(outputs, targets, weights)
    np.testing.assert_allclose(loss(outputs.at[1].multiply(3.0), targets, weights), value, 1e-6)
    assert float(value) > 0
    np.testing.assert_array_equal(gradient[1], 0)


@pytest.mark.parametrize("loss", EVERY)
def test_perfect_outputs_have_no_loss_and_a_finite_gradient(loss):
    _, targets, weights = case("loss/l1")
    value, gradient = jax.value_and_grad(loss)(targets, targets, weights)
    np.testing.assert_allclose(value, 0, atol=1e-7)
    assert np.isfinite(gradient).all()


def test_the_wing_is_continuous():
    targets, weights = jnp.zeros((1, 1, 2)), jnp.ones((1, 1))
    near, far = (Wing()(jnp.full((1, 1, 2), x), targets, weights) for x in (9.9999, 10.0001))
    np.testing.assert_allclose(near, far, rtol=1e-4)


def test_bones_count_where_both_ends_are_labelled():
    targets = jnp.asarray([[[0.0, 0], [3, 4], [3, 0], [0, 0]]])
    outputs = jnp.asarray([[[0.0, 0], [6, 8], [6, 0], [9, 9]]])
    # Lengths 5, 4, 3 against 10, 8, sqrt(9 + 81).
    value = BoneLength(BONES)(outputs, targets, jnp.asarray([[1.0, 1, 1, 0]]))
    np.testing.assert_allclose(value, (5 + 4) / 3, rtol=1e-6)
    turned = outputs @ jnp.asarray([[0.6, 0.8], [-0.8, 0.6]])
    again = BoneLength(BONES)(turned, targets, jnp.asarray([[1.0, 1, 1, 0]]))
    np.testing.assert_allclose(again, value, rtol=1e-6)


def test_oks_loss_is_what_the_metric_leaves_over():
    from jaxpose.metrics.oks import oks

    rng = np.random.default_rng(0)
    size = np.array([192.0, 256.0])
    truth = rng.uniform(0.2, 0.8, (3, 17, 2))
    found = truth + rng.normal(0, 0.03, truth.shape)
    visible = rng.integers(0, 2, (3, 17))
    visible[2] = 0
    sigmas = rng.uniform(0.03, 0.1, 17)
    metric = oks(found * size, truth * size, visible, 0.34 * 192 * 256, sigmas)
    loss = OKS(tuple(sigmas))(jnp.asarray(found), jnp.asarray(truth), jnp.asarray(visible))
    np.testing.assert_allclose(loss, np.sum(1 - metric[:2]) / 3, rtol=1e-5)
