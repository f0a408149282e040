"""OpenPose: what each stage returns and sees, and that all of it trains."""

import itertools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.openpose import OpenPoseHead, VGGStem
from jaxpose.models.published.openpose import openpose


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_every_stage_is_returned_in_training_and_the_last_otherwise(dtype):
    head = OpenPoseHead(5, limbs=2, stages=3, dtype=dtype)
    features = jax.random.normal(jax.random.key(0), (2, 4, 3, 16)).astype(dtype)
    variables = drawn.init(head, features)

    @jax.jit
    def step(params):
        stages = head.apply({"params": params}, features, train=True)
        return sum(jnp.square(y - 1).mean() for y in stages), stages

    gradients, stages = jax.grad(step, has_aux=True)(variables["params"])
    assert [y.shape for y in stages] == [(2, 4, 3, 9)] * 3
    assert {y.dtype for y in stages} == {jnp.dtype("float32")}
    np.testing.assert_allclose(head.apply(variables, features), stages[-1], rtol=2e-2, atol=1e-6)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def test_a_later_stage_sees_the_features_and_both_branches():
    def width(limbs):
        head = OpenPoseHead(5, limbs=limbs, stages=2)
        shapes = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros((1, 4, 4, 16)))
        return shapes["params"]["stage_1_maps_0"]["kernel"].shape

    assert width(0) == (7, 7, 128 + 5, 128)
    assert width(2) == (7, 7, 128 + 5 + 4, 128)


def test_the_backbone_is_vggs_first_ten_convolutions():
    variables = abstract_variables(VGGStem(), (64, 64))
    assert len(variables["params"]) == 10
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512)
    expected = sum((9 * a + 1) * b for a, b in itertools.pairwise(widths))
    assert count_parameters(variables) == expected


def test_maps_are_an_eighth_of_the_image():
    model = openpose(5)
    variables = abstract_variables(model, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).shape == (2, 8, 12, 5)
    with pytest.raises(InputError, match="multiples of 8"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 60, 96, 3)))
