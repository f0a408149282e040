"""CSPNeXt at a few channels: shapes, training, and its pooling pyramid."""

import drawn
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models.csp import SpatialPyramidPooling
from jaxpose.models.cspnext import CSPNeXt

TINY = CSPNeXt(deepen=0.1, widen=0.125)


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (2, 64, 96, 3))


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, (64, 96))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_a_training_step_reaches_every_parameter_and_statistic(dtype, variables, images):
    assert_reaches_everything(one_step(TINY.clone(dtype=dtype), variables, images), variables)


def test_outputs_one_or_several_maps(images):
    def shapes(outputs):
        model = TINY.clone(outputs=outputs)
        y = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images)[0])
        return jax.tree.map(lambda y: y.shape, y)

    assert shapes((4,)) == (2, 2, 3, 128)
    assert shapes((2, 3, 4)) == ((2, 8, 12, 32), (2, 4, 6, 64), (2, 2, 3, 128))
    assert shapes((0, 1)) == ((2, 32, 48, 8), (2, 16, 24, 16))


def test_the_pyramid_pools_over_5_9_and_13_pixels():
    x = jax.random.normal(jax.random.key(0), (1, 17, 15, 4))
    layer = SpatialPyramidPooling(8)
    variables = drawn.init(layer, x, False)
    # The merging convolution hands on its inputs, so that only norm and activation follow.
    variables["params"]["merge"]["conv"]["kernel"] = jnp.eye(8)[None, None]
    y, state = layer.apply(variables, x, False, capture_intermediates=True)
    (reduced,) = state["intermediates"]["reduce"]["__call__"]
    pooled = [reduced] + [nn.max_pool(reduced, (n, n), padding="SAME") for n in (5, 9, 13)]
    expected = nn.silu(jnp.concatenate(pooled, -1) / np.sqrt(1 + 1e-5))
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        ({}, (1, 64, 48, 3), "multiples of 32"),
        ({"outputs": (5,)}, (1, 64, 32, 3), "from 0 .stem. to 4"),
        ({"outputs": ()}, (1, 64, 32, 3), "from 0"),
    ],
)
def test_bad_attributes_are_named(change, shape, message):
    model = TINY.clone(**change)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
