"""HRNet at a few channels: shapes, outputs, and the switches that must not change the result."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models.hrnet import HRNet

TINY = HRNet(
    channels=(4, 6, 8),
    modules=(1, 1),
    blocks=1,
    stem_channels=8,
    stage1_channels=4,
    stage1_blocks=1,
)


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (2, 64, 32, 3))


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, (64, 32))


@pytest.fixture(scope="module")
def reference(variables, images):
    return one_step(TINY, variables, images)


def test_a_training_step_reaches_every_parameter_and_statistic(reference, variables):
    assert_reaches_everything(reference, variables)


@pytest.mark.slow
def test_rematerialising_changes_nothing(variables, images, reference):
    actual = one_step(TINY.clone(remat="block"), variables, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), actual, reference)


@pytest.mark.slow
def test_bfloat16_gives_no_nan(variables, images, reference):
    step = one_step(TINY.clone(dtype="bfloat16"), variables, images)
    np.testing.assert_allclose(step.loss, reference.loss, rtol=5e-2)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(step.gradients))


def test_outputs_high_all_or_concatenated_branches(images):
    def shapes(outputs):
        model = TINY.clone(outputs=outputs)
        y = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images)[0])
        return [branch.shape for branch in jax.tree.leaves(y)]

    assert shapes("high") == [(2, 16, 8, 4)]
    assert shapes("all") == [(2, 16, 8, 4), (2, 8, 4, 6), (2, 4, 2, 8)]
    assert shapes("concat") == [(2, 16, 8, 4 + 6 + 8)]


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        ({}, (1, 64, 40, 3), "multiples of 16"),
        ({"modules": (1, 1, 1)}, (1, 64, 32, 3), "modules"),
        ({"outputs": "low"}, (1, 64, 32, 3), "outputs must be one of high, all, concat"),
    ],
)
def test_bad_attributes_are_named(change, shape, message):
    model = TINY.clone(**change)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
