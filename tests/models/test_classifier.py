"""The ImageNet head over feature maps and class tokens."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.heads import SimpleHead
from jaxpose.models.vit import TokenFeatures, ViT


def linear(head, features, pooled):
    """What the head should give for its own random weights."""
    variables = drawn.init(head, features)
    params = variables["params"]["linear"]
    assert jax.tree.map(jnp.shape, params) == {"kernel": (6, 4), "bias": (4,)}
    expected = pooled @ params["kernel"] + params["bias"][None]
    np.testing.assert_allclose(head.apply(variables, features), expected, rtol=1e-5, atol=1e-6)


def test_pools_the_mean_of_the_map_or_the_token():
    rng = np.random.default_rng(0)
    features = TokenFeatures(
        rng.standard_normal((2, 3, 5, 6), np.float32), rng.standard_normal((2, 6), np.float32)
    )
    linear(ClassificationHead(4), features.map, features.map.mean((1, 2)))
    linear(ClassificationHead(4), features, features.map.mean((1, 2)))
    linear(ClassificationHead(4, pool="token"), features, features.token)


def test_a_token_is_needed_to_pool_it():
    with pytest.raises(InputError, match="class_token=True"):
        ClassificationHead(4, pool="token").init(jax.random.key(0), jnp.zeros((1, 2, 2, 6)))


def test_a_pose_head_refuses_a_token():
    backbone = ViT(input_hw=(16, 16), dim=16, depth=1, heads=2, patch=8, class_token=True)
    with pytest.raises(InputError, match="SimpleHead takes a map of patches"):
        abstract_variables(PoseModel(backbone, SimpleHead(3)), (16, 16))


def test_the_token_takes_part_in_attention_and_has_a_position_of_its_own():
    model = ViT(input_hw=(16, 16), dim=16, depth=1, heads=2, patch=8, class_token=True)
    images = jax.random.normal(jax.random.key(1), (2, 16, 16, 3))
    variables = drawn.init(model, images)
    assert variables["params"]["position_embedding"].shape == (5, 16)
    features = model.apply(variables, images)
    assert features.map.shape == (2, 2, 2, 16) and features.token.shape == (2, 16)
    assert float(jnp.abs(features.token[0] - features.token[1]).max()) > 1e-4
    variables["params"]["class_token"] = jax.random.normal(jax.random.key(2), (16,))
    moved = model.apply(variables, images)
    assert float(jnp.abs(moved.map - features.map).max()) > 1e-4
