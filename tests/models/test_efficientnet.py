"""EfficientNet-Lite0: its size as published, features, training, and bad input."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.efficientnet import LITE_RGB, EfficientNetLite
from jaxpose.models.normalisation import renormalise
from jaxpose.models.published.efficientnet import efficientnet_classifier, efficientnet_pose
from jaxpose.tasks.topdown.augment import normalize


def test_the_classifier_has_the_published_parameters():
    # timm's figure for tf_efficientnet_lite0 is 4.65 million.
    variables = abstract_variables(efficientnet_classifier(), (224, 224))
    assert count_parameters(variables) == 4_652_008


def test_heatmaps_are_a_quarter_of_the_image():
    model = efficientnet_pose(5)
    variables = abstract_variables(model, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).shape == (2, 16, 24, 5)


def test_images_are_brought_to_the_published_normalisation():
    images = np.array([[[[0, 127, 255], [255, 64, 1]]]], np.uint8)
    expected = (images.astype(np.float32) - 127) / 128
    found = renormalise(normalize(jnp.asarray(images)), LITE_RGB)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_a_training_step_reaches_every_parameter_and_statistic():
    model = EfficientNetLite()
    variables = drawn.variables(model, (64, 32))
    step = one_step(model, variables, jax.random.normal(jax.random.key(1), (2, 64, 32, 3)))
    assert step.outputs.shape == (2, 2, 1, 320)
    assert_reaches_everything(step, variables)


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"multiples of 32, but got \[1, 64, 40, 3\]"):
        jax.eval_shape(EfficientNetLite().init, jax.random.key(0), jnp.zeros((1, 64, 40, 3)))
