"""Depthwise convolution: the form for CPUs against XLA's grouped convolution, with derivatives."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.models.conv import ConvNorm
from jaxpose.models.depthwise import depthwise, grouped


@pytest.mark.parametrize(
    ("size", "stride", "shape"), [(5, 1, (2, 6, 5, 4)), (3, 2, (2, 8, 7, 4)), (3, 2, (1, 5, 6, 3))]
)
def test_equals_the_grouped_convolution_and_its_derivatives(size, stride, shape):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], shape)
    kernel = jax.random.normal(keys[1], (size, size, 1, shape[-1]))
    expected, expected_vjp = jax.vjp(lambda x, k: grouped(x, k, stride), x, kernel)
    actual, vjp = jax.vjp(lambda x, k: depthwise(x, k, stride), x, kernel)
    gradient = jax.random.normal(keys[2], expected.shape)
    # Sums of at most 100 products of unit size, in another order.
    for a, b in zip((actual, *vjp(gradient)), (expected, *expected_vjp(gradient)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


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
