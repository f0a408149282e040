"""ResNet at a few channels: shapes, training, and the variants' differences."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_step import assert_reaches_everything, one_step

from jaxpose.errors import InputError
from jaxpose.models import resnet_backbone
from jaxpose.models.published.resnet import RESNET
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.resnet import ResNet

TINY = ResNet(blocks=(1, 1), width=4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("variant", "bottleneck"), [("v1b", False), ("v1d", True)])
def test_a_training_step_reaches_every_parameter(variant, bottleneck, dtype):
    model = TINY.clone(variant=variant, bottleneck=bottleneck, dtype=dtype)
    images = jax.random.normal(jax.random.key(1), (2, 32, 24, 3))
    variables = drawn.variables(model, (32, 24))
    assert_reaches_everything(one_step(model, variables, images), variables)


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (34, 512), (50, 2048), (152, 2048)])
def test_feature_maps_have_stride_32(depth, channels):
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    key = jax.random.key(0)
    y, _ = jax.eval_shape(resnet_backbone(depth).init_with_output, key, images)
    assert y.shape == (2, 2, 3, channels)


def test_a_pooled_shortcut_is_a_mean_of_the_pixels_there_are():
    block = ResidualBlock(4, False, "float32", 2, "pooled")
    x = jax.random.normal(jax.random.key(0), (1, 5, 4, 4))
    variables = drawn.init(block, x, False)
    params = variables["params"]
    params["conv_1"]["conv"]["kernel"] = jnp.zeros((3, 3, 4, 4))
    params["shortcut"]["conv"]["kernel"] = jnp.eye(4)[None, None]
    y = block.apply(variables, x, False) * np.sqrt(1 + 1e-5)
    blocks = np.stack(
        [[np.asarray(x)[0, r : r + 2, c : c + 2].mean((0, 1)) for c in (0, 2)] for r in (0, 2, 4)]
    )
    np.testing.assert_allclose(y[0], np.maximum(blocks, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        ({}, (1, 32, 20, 3), "multiples of 8"),
        ({"variant": "v1c"}, (1, 32, 32, 3), "variant must be v1b or v1d"),
    ],
)
def test_bad_attributes_are_named(change, shape, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(TINY.clone(**change).init, jax.random.key(0), jnp.zeros(shape))


def test_an_unknown_depth_is_named():
    with pytest.raises(InputError, match="known: 18, 34, 50, 101, 152"):
        resnet_backbone(49)


def test_published_names_are_unique():
    names = [entry.name for entry in RESNET.published]
    assert len(set(names)) == len(names)
