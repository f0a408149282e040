"""1x1 convolutions with a derivative of their own: the same as `nn.Conv`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.models.conv import Pointwise


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_the_same_numbers_and_derivatives_as_a_convolution(stride, bias):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 5, 6, 7)), jnp.float32)
    params = {"kernel": jnp.asarray(rng.normal(size=(1, 1, 7, 4)), jnp.float32)}
    if bias:
        params["bias"] = jnp.asarray(rng.normal(size=4), jnp.float32)
    init = nn.initializers.normal()
    ours = Pointwise(4, stride, bias, init, "float32")
    theirs = nn.Conv(4, (1, 1), stride, padding=0, use_bias=bias)

    def loss(module, params, x):
        y = module.apply({"params": params}, x)
        return jnp.sum(jnp.sin(y)), y

    def both(module):
        return jax.value_and_grad(lambda p, x: loss(module, p, x), (0, 1), has_aux=True)(params, x)

    (_, y), (of_params, of_x) = both(ours)
    (_, expected), (of_their_params, of_their_x) = both(theirs)
    assert y.shape == (2, -(-5 // stride), -(-6 // stride), 4)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_x, of_their_x, rtol=1e-5, atol=1e-5)
    for name in params:
        np.testing.assert_allclose(of_params[name], of_their_params[name], rtol=1e-5, atol=1e-5)


def test_it_starts_from_the_numbers_of_a_convolution():
    x = jnp.ones((1, 2, 2, 3))
    init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    ours = Pointwise(8, 1, True, init, "float32").init(jax.random.key(3), x)
    theirs = nn.Conv(8, (1, 1), kernel_init=init).init(jax.random.key(3), x)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
