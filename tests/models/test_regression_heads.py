"""Regression heads: shapes, types, training, and the soft-argmax against known maps."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import RLE
from jaxpose.models.regression_heads import (
    IntegralRegressionHead,
    RegressionHead,
    RLEHead,
    RLEOutputs,
)


@pytest.fixture(scope="module")
def features():
    return jax.random.normal(jax.random.key(0), (2, 4, 3, 16))


def gradients(head, features, loss):
    variables = drawn.init(head, features)

    @jax.jit
    def value(params):
        outputs, _ = head.apply(
            {**variables, "params": params}, features, train=True, mutable=["batch_stats"]
        )
        return loss(outputs), outputs

    return jax.grad(value, has_aux=True)(variables["params"])


def assert_all_reached(gradient):
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_regression_is_linear_in_the_mean(features, dtype):
    head = RegressionHead(5)
    variables = drawn.init(head, features)
    y = head.apply(variables, features.astype(dtype))
    linear = variables["params"]["linear"]
    mean = np.asarray(features.astype(dtype), np.float32).mean((1, 2))
    expected = (mean @ linear["kernel"] + linear["bias"][None]).reshape(2, 5, 2)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rle_trains_its_flow_and_gives_sigma_between_0_and_1(features, dtype):
    head = RLEHead(5)
    targets = jax.random.uniform(jax.random.key(2), (2, 5, 2))
    gradient, outputs = gradients(
        head, features.astype(dtype), lambda y: RLE()(y, targets, jnp.ones((2, 5)))
    )
    assert isinstance(outputs, RLEOutputs)
    assert outputs.coordinates.shape == outputs.sigma.shape == (2, 5, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
    assert_all_reached(gradient)
    y = head.apply(drawn.init(head, features), features)
    assert y.shape == (2, 5, 4)
    assert ((y[..., 2:] > 0) & (y[..., 2:] < 1)).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_integral_regression_trains(features, dtype):
    head = IntegralRegressionHead(5, (8,), debias=True, beta=10.0, dtype=dtype)
    gradient, (coordinates, heatmaps) = gradients(
        head, features.astype(dtype), lambda y: jnp.square(y[0] - 1).mean()
    )
    assert coordinates.shape == (2, 5, 2) and heatmaps.shape == (2, 8, 6, 5)
    assert coordinates.dtype == heatmaps.dtype == jnp.float32
    np.testing.assert_allclose(heatmaps.sum((1, 2)), 1, rtol=1e-5)
    # The same bias on every pixel changes no softmax.
    gradient["maps"]["final"].pop("bias")
    assert_all_reached(gradient)


@pytest.mark.parametrize("debias", [False, True])
def test_coordinates_are_the_expectation_of_the_softmax(debias):
    head = IntegralRegressionHead(1, (), beta=2.0, debias=debias)
    maps = np.zeros((1, 8, 6, 1), np.float32)
    maps[0, 5, 2] = 3.0
    params = {"maps": {"final": {"kernel": jnp.ones((1, 1, 1, 1)), "bias": jnp.zeros(1)}}}
    coordinates, heatmaps = head.apply({"params": params}, jnp.asarray(maps))
    flat = np.exp(2 * 3.0) + 47
    mean = (np.array([2.5, 3.5]) * 48 + (np.exp(2 * 3.0) - 1) * np.array([2, 5])) / flat
    expected = mean / [6, 8]
    if debias:
        total = np.exp(3.0) + 47
        expected = total / (total - 1) * (expected - 1 / (2 * total))
    np.testing.assert_allclose(coordinates[0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(heatmaps[0, 5, 2, 0], np.exp(6.0) / flat, rtol=1e-5)
