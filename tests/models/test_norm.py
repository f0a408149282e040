"""Batch norm against the textbook formulas, and PyTorch where it is installed."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxpose.models.norm import BatchNorm, moments


@pytest.fixture(scope="module")
def layer():
    model = BatchNorm()
    return model, drawn.init(model, jnp.zeros((1, 2, 2, 3)), False)


def batches(steps):
    rng = np.random.default_rng(0)
    return [rng.normal(5.0, 2.0, (4, 3, 2, 3)).astype(np.float32) for _ in range(steps)]


def test_training_normalises_and_keeps_the_unbiased_variance(layer):
    model, variables = layer
    (x,) = batches(1)
    y, updated = model.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1.0, atol=1e-4)
    flat = x.reshape(-1, 3)
    stats = updated["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)


def test_running_statistics_and_gradients_equal_pytorchs_after_three_steps(layer):
    torch = pytest.importorskip("torch")
    model, variables = layer
    theirs = torch.nn.BatchNorm2d(3).train()
    for x in batches(3):
        x_torch = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
        theirs(x_torch).pow(3).sum().backward()

        def loss(x, variables=variables):
            y, updated = model.apply(variables, x, True, mutable=["batch_stats"])
            return (y**3).sum(), updated["batch_stats"]

        gradient, stats = jax.grad(loss, has_aux=True)(jnp.asarray(x))
        variables = {**variables, "batch_stats": stats}
        expected = x_torch.grad.numpy().transpose(0, 2, 3, 1)
        # Relative to the spread: the sums cancel, so single entries carry rounding of the whole.
        assert np.abs(gradient - expected).max() <= 1e-4 * expected.std()
    stats = variables["batch_stats"]
    np.testing.assert_allclose(stats["mean"], theirs.running_mean.numpy(), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], theirs.running_var.numpy(), rtol=1e-5)


def test_statistics_are_those_of_the_global_batch(layer):
    model, variables = layer
    x = np.arange(8 * 2 * 2 * 3, dtype=np.float32).reshape(8, 2, 2, 3)
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))

    @jax.jit
    def step(x):
        return model.apply(variables, x, True, mutable=["batch_stats"])

    y, updated = step(jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))))
    expected_y, expected = step(x)
    np.testing.assert_allclose(y, expected_y, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updated, expected)


def test_statistics_stay_float32_under_bfloat16():
    model = BatchNorm(dtype="bfloat16")
    x = jnp.full((2, 2, 2, 3), 1000.0, jnp.bfloat16)
    variables = drawn.init(model, x, False)
    y, updated = model.apply(variables, x, True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert updated["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 100.0, rtol=1e-6)


@pytest.mark.parametrize("distance", [0.0, 20.0])
def test_moments_in_one_pass_keep_their_digits(distance):
    """The mean is 500 standard deviations from 0, and `distance` from the running mean."""
    rng = np.random.default_rng(0)
    x = rng.normal(1000.0, 2.0, (4, 16, 16, 3)).astype(np.float32)
    exact = x.astype(np.float64).reshape(-1, 3)
    shift = (exact.mean(0) - 2.0 * distance).astype(np.float32)
    mean, var = jax.jit(moments)(x, shift)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-4)


def test_gradient_of_moments_is_that_of_two_passes():
    x = batches(1)[0]
    weights = jnp.asarray([[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]])

    def two_passes(x):
        mean = x.mean((0, 1, 2))
        return mean, jnp.square(x - mean[None, None, None]).mean((0, 1, 2))

    def weighted(moments):
        return lambda x: jnp.vdot(weights, jnp.stack(moments(x)))

    actual = jax.grad(weighted(lambda x: moments(x, jnp.full(3, 4.0))))(x)
    expected = jax.grad(weighted(two_passes))(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
