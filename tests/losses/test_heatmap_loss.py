"""Heatmap losses against MMPose 1.3.2, and their treatment of weights and types."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.losses import HeatmapMSE

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses.npz")
PARITY = 2e-6  # one float32 sum in another order


def heatmap_case():
    arrays = [GOLDEN[f"loss/keypoint_mse/{key}"] for key in ("output", "target")]
    return [a.transpose(0, 2, 3, 1) for a in arrays] + [GOLDEN["loss/keypoint_mse/weight"]]


def test_heatmap_mse_matches_golden():
    value = HeatmapMSE()(*map(jnp.asarray, heatmap_case()))
    np.testing.assert_allclose(value, GOLDEN["loss/keypoint_mse/value"], rtol=PARITY)


def test_weight_zero_is_ignored():
    outputs, targets, _ = map(jnp.asarray, heatmap_case())
    weights = jnp.ones((2, 17)).at[1].set(0.0)
    loss = HeatmapMSE()
    assert loss(outputs.astype(jnp.bfloat16), targets, weights).dtype == jnp.float32
    value, gradient = jax.value_and_grad(loss)(outputs, targets, weights)
    np.testing.assert_allclose(loss(outputs.at[1].multiply(3.0), targets, weights), value, 1e-6)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0)


def test_perfect_outputs_have_no_loss():
    maps, _, weights = map(jnp.asarray, heatmap_case())
    assert float(HeatmapMSE()(maps, maps, weights)) == 0
