"""MobileNetV2 at a few channels: shapes and training; its size as published."""

import drawn
import jax
import jax.numpy as jnp
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.published.mobilenetv2 import mobilenet_pose

TINY = MobileNetV2(widen=0.1, dtype="bfloat16")


@pytest.mark.slow
def test_a_training_step_in_bfloat16_reaches_every_parameter_and_statistic():
    images = jax.random.normal(jax.random.key(1), (2, 64, 96, 3))
    variables = drawn.variables(TINY, (64, 96))
    step = one_step(TINY, variables, images)
    assert step.outputs.shape == (2, 2, 3, 1280) and step.outputs.dtype == jnp.bfloat16
    assert_reaches_everything(step, variables)


def test_the_backbone_has_the_published_parameters():
    # torchvision's, less its classifier, a linear layer of 1280 to 1000.
    variables = abstract_variables(MobileNetV2(), (224, 224))
    assert count_parameters(variables) == 3_504_872 - 1281 * 1000


def test_heatmaps_are_a_quarter_of_the_image():
    model = mobilenet_pose(5)
    variables = abstract_variables(model, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).shape == (2, 16, 24, 5)
