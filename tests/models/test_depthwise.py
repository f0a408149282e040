"""Depthwise convolution: the form for CPUs against XLA's grouped convolution, with derivatives."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.models.conv import ConvNorm
from jaxpose.models.depthwise import depthwise, grouped
from jaxpose.models.padding import pads


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["torch", "tensorflow"])
@pytest.mark.parametrize(
    ("size", "stride", "shape"), [(5, 1, (2, 6, 5, 4)), (3, 2, (2, 8, 7, 4)), (5, 2, (1, 5, 6, 3))]
)
def test_equals_the_grouped_convolution_and_its_derivatives(size, stride, shape, padding):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], shape)
    kernel = jax.random.normal(keys[1], (size, size, 1, shape[-1]))
    zeros = pads(shape[1:3], size, stride, padding)
    expected, expected_vjp = jax.vjp(lambda x, k: grouped(x, k, stride, zeros), x, kernel)
    actual, vjp = jax.vjp(lambda x, k: depthwise(x, k, stride, zeros), x, kernel)
    gradient = jax.random.normal(keys[2], expected.shape)
    # Sums of at most 100 products of unit size, in another order.
    for a, b in zip((actual, *vjp(gradient)), (expected, *expected_vjp(gradient)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 2), (3, 3)])
def test_padding_of_tensorflow_is_that_of_xla_for_same(side, size, stride):
    x = jax.random.normal(jax.random.key(0), (1, side, side + 1, 2))
    kernel = jax.random.normal(jax.random.key(1), (size, size, 1, 2))
    expected = jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=2,
    )
    zeros = pads((side, side + 1), size, stride, "tensorflow")
    np.testing.assert_allclose(depthwise(x, kernel, stride, zeros), expected, atol=1e-5)


def test_sums_of_bfloat16_are_wider():
    x = jnp.ones((1, 3, 3, 1), jnp.bfloat16)
    kernel = jnp.full((3, 3, 1, 1), 2.0**-9, jnp.bfloat16).at[0, 0].set(1.0)
    y = depthwise(x, kernel)
    assert y.dtype == jnp.bfloat16
    assert y[0, 1, 1, 0] == jnp.bfloat16(1.0 + 8 * 2.0**-9)


def test_conv_norm_of_as_many_groups_as_channels_is_depthwise():
    layer = ConvNorm(4, 5, groups=4)
    variables = drawn.init(layer, jnp.zeros((1, 8, 8, 4)), False)
    assert variables["params"]["conv"]["kernel"].shape == (5, 5, 1, 4)
    traced = str(
        jax.make_jaxpr(lambda x: layer.apply(variables, x, False))(jnp.zeros((1, 8, 8, 4)))
    )
    assert "platform_index" in traced
