"""Stacked hourglasses at a few channels: shapes, training, and bad input."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import PoseModel, abstract_variables, count_parameters, hourglass
from jaxpose.models.hourglass import Hourglass
from jaxpose.models.multistage import MultiStageHead

TINY = Hourglass(stacks=2, channels=(4, 6, 8), blocks=(1, 1, 2), feature_channels=5)


def test_every_stack_returns_a_quarter_of_the_image():
    images = jax.random.normal(jax.random.key(1), (2, 32, 16, 3))
    y = jax.eval_shape(lambda: TINY.init_with_output(jax.random.key(0), images)[0])
    assert [features.shape for features in y] == [(2, 8, 4, 5)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_supervising_all_stages_reaches_every_parameter_and_statistic(dtype):
    model = PoseModel(TINY.clone(dtype=dtype), MultiStageHead(3, dtype=dtype))
    images = jax.random.normal(jax.random.key(1), (2, 32, 16, 3))
    variables = drawn.variables(model, (32, 16))

    @jax.jit
    @jax.grad
    def gradients(params):
        outputs, _ = model.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        assert len(outputs) == 2
        return sum(jnp.square(y - 0.5).mean() for y in outputs)

    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients(variables["params"])):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def test_a_second_stack_adds_what_is_between_the_two():
    # The second stack adds all but the stem, the 1x1 convolutions that mix it in, and a block.
    one, two = (
        count_parameters(abstract_variables(hourglass(size), (256, 256))) for size in ("52", "104")
    )
    block = 2 * (256 * 256 * 9 + 2 * 256)
    mixing = 2 * (256 * 256 + 2 * 256)
    stem = 128 * 3 * 49 + 2 * 128 + (128 + 256) * 256 * 9 + 128 * 256 + 3 * 2 * 256
    assert two == 2 * one - stem + block + mixing


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        ({}, (1, 32, 24, 3), "multiples of 16"),
        ({"stacks": 0}, (1, 32, 16, 3), "at least one stack"),
        ({"blocks": (1, 1)}, (1, 32, 16, 3), "equal length"),
    ],
)
def test_bad_attributes_are_named(change, shape, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(TINY.clone(**change).init, jax.random.key(0), jnp.zeros(shape))


def test_a_misspelt_size_names_the_known_ones():
    with pytest.raises(InputError, match="52, 104"):
        hourglass("53")
