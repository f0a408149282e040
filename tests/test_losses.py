"""Losses against MMPose 1.3.2 (golden/losses.npz), and their treatment of weights and types."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import HeatmapMSE, SimCCKL

GOLDEN = np.load(Path(__file__).parent / "golden" / "losses.npz")
PARITY = 2e-6  # one float32 sum in another order


def heatmap_case():
    arrays = [GOLDEN[f"loss/keypoint_mse/{key}"] for key in ("output", "target")]
    return [a.transpose(0, 2, 3, 1) for a in arrays] + [GOLDEN["loss/keypoint_mse/weight"]]


def simcc_case(name):
    x, y, tx, ty, w = (
        GOLDEN[f"loss/{name}/{key}"] for key in ("x", "y", "target_x", "target_y", "weight")
    )
    return (x, y), (tx, ty), w


def test_heatmap_mse_matches_golden():
    value = HeatmapMSE()(*map(jnp.asarray, heatmap_case()))
    np.testing.assert_allclose(value, GOLDEN["loss/keypoint_mse/value"], rtol=PARITY)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("kl_discrete", SimCCKL()),
        ("kl_discrete_rtmpose", SimCCKL(beta=10.0, label_softmax=True)),
    ],
)
def test_simcc_kl_matches_golden(name, loss):
    outputs, targets, weights = jax.tree.map(jnp.asarray, simcc_case(name))
    # MMPose sums over the batch where we take the mean.
    value = loss(outputs, targets, weights) * len(weights)
    np.testing.assert_allclose(value, GOLDEN[f"loss/{name}/value"], rtol=PARITY)


@pytest.mark.parametrize(
    ("loss", "case"),
    [
        (HeatmapMSE(), heatmap_case()),
        (SimCCKL(), simcc_case("kl_discrete")),
        (SimCCKL(beta=10.0, label_softmax=True), simcc_case("kl_discrete_rtmpose")),
    ],
)
def test_losses_are_float32_and_ignore_weight_zero(loss, case):
    outputs, targets, _ = jax.tree.map(jnp.asarray, tuple(case))
    weights = jnp.ones((2, 17)).at[1].set(0.0)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), outputs)
    assert loss(half, targets, weights).dtype == jnp.float32
    value, gradient = jax.value_and_grad(loss)(outputs, targets, weights)
    changed = jax.tree.map(lambda a: a.at[1].multiply(3.0), outputs)
    np.testing.assert_allclose(loss(changed, targets, weights), value, rtol=1e-6)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
        np.testing.assert_array_equal(leaf[1], 0)


def test_perfect_outputs_have_no_loss():
    maps, _, weights = map(jnp.asarray, heatmap_case())
    assert float(HeatmapMSE()(maps, maps, weights)) == 0
    _, targets, weights = jax.tree.map(jnp.asarray, simcc_case("kl_discrete_rtmpose"))
    value = SimCCKL(beta=10.0, label_softmax=True)(targets, targets, weights)
    np.testing.assert_allclose(value, 0, atol=1e-6)
