"""Lite-HRNet at a few channels: shapes, training, and bad input."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models import litehrnet
from jaxpose.models.litehrnet import CrossResolutionWeighting, LiteHRNet

TINY = LiteHRNet(channels=(8, 16, 32), modules=(1, 1), blocks=1, reduction=4, stem_channels=8)


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (4, 64, 48, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "dtype", "norm"),
    [
        ("weighting", "float32", "batch"),
        ("shuffle", "bfloat16", "batch"),
        ("shuffle", "float32", "none"),
    ],
)
def test_a_training_step_reaches_every_parameter_and_statistic(images, block, dtype, norm):
    model = TINY.clone(block=block, dtype=dtype, norm=norm)
    variables = drawn.variables(model, (64, 48))
    step = one_step(model, variables, images)
    assert step.outputs.shape == (4, 16, 12, 8)
    assert_reaches_everything(step, variables)


def test_constant_weights_scale_all_resolutions_alike():
    branches = tuple(jax.random.normal(jax.random.key(j), (1, 8 >> j, 4 >> j, 4)) for j in range(3))
    module = CrossResolutionWeighting(2, "float32")
    variables = drawn.init(module, branches, False)
    zeros = jax.tree.map(jnp.zeros_like, variables["params"])
    outputs = module.apply({**variables, "params": zeros}, branches, False)
    for x, y in zip(branches, outputs, strict=True):
        np.testing.assert_allclose(y, x / 2, rtol=1e-6)  # sigmoid(0)


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        ({}, (1, 64, 40, 3), "multiples of 16"),
        ({"modules": (1,)}, (1, 64, 48, 3), "modules"),
        ({"block": "shuffel"}, (1, 64, 48, 3), "weighting or shuffle"),
    ],
)
def test_bad_attributes_are_named(change, shape, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(TINY.clone(**change).init, jax.random.key(0), jnp.zeros(shape))


def test_a_misspelt_size_names_the_nearest():
    with pytest.raises(InputError, match="naive-18"):
        litehrnet("naiv-18")
