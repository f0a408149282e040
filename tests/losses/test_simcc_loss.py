"""SimCC losses against MMPose 1.3.2, and their treatment of weights and types."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import SimCCKL

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses.npz")
PARITY = 2e-6  # one float32 sum in another order


def simcc_case(name):
    x, y, tx, ty, w = (
        GOLDEN[f"{name}/{key}"] for key in ("x", "y", "target_x", "target_y", "weight")
    )
    return (x, y), (tx, ty), w


@pytest.mark.parametrize(
    ("golden_case", "loss"),
    [
        ("loss/kl_discrete", SimCCKL()),
        ("loss/kl_discrete_rtmpose", SimCCKL(beta=10.0, label_softmax=True)),
    ],
)
def test_simcc_kl_matches_golden(golden_case, loss):
    outputs, targets, weights = jax.tree.map(jnp.asarray, simcc_case(golden_case))
    # MMPose sums over the batch where we take the mean.
    value = loss(outputs, targets, weights) * len(weights)
    np.testing.assert_allclose(value, GOLDEN[f"{golden_case}/value"], rtol=PARITY)


@pytest.mark.parametrize("loss", [SimCCKL(), SimCCKL(beta=10.0, label_softmax=True)])
def test_weight_zero_is_ignored(loss):
    outputs, targets, _ = jax.tree.map(jnp.asarray, simcc_case("loss/kl_discrete"))
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
    _, targets, weights = jax.tree.map(jnp.asarray, simcc_case("loss/kl_discrete_rtmpose"))
    value = SimCCKL(beta=10.0, label_softmax=True)(targets, targets, weights)
    np.testing.assert_allclose(value, 0, atol=1e-6)
