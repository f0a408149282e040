"""Pyramid at a few channels: sizes, what a training step reaches, and what it says of bad input."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models.pyramid import Merge, Pyramid

TINY = Pyramid(patch=4, widths=(4, 6, 8), depths=(1, 1, 2), path_width=5)


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (2, 32, 16, 3))


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, (32, 16))


@pytest.mark.slow
def test_a_training_step_reaches_every_parameter_and_statistic(variables, images):
    assert_reaches_everything(one_step(TINY, variables, images), variables)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_output_has_the_stride_of_the_patch(variables, images, dtype):
    y = jax.jit(TINY.clone(dtype=dtype).apply)(variables, images)
    assert y.shape == (2, 8, 4, 5)
    assert y.dtype == jnp.dtype(dtype)


def test_merging_is_the_strided_convolution(images):
    merge = Merge(features=7, size=4)
    variables = drawn.init(merge, images, False)
    kernel = variables["params"]["merge"]["kernel"].reshape(4, 4, 3, 7)
    expected = jax.lax.conv_general_dilated(
        images, kernel, (4, 4), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    # Fresh statistics: mean 0, variance 1.
    expected = jax.nn.relu(expected / np.sqrt(1 + 1e-5))
    np.testing.assert_allclose(merge.apply(variables, images, False), expected, atol=1e-5)


def test_wrong_sizes_are_named(images):
    with pytest.raises(InputError, match="multiples of 16"):
        TINY.init(jax.random.key(0), images[:, :24])
    with pytest.raises(InputError, match="one entry for each stage"):
        TINY.clone(depths=(1, 1)).init(jax.random.key(0), images)
