"""Heads: shapes, the float32 output, and the rewritten layers against plain ones."""

import drawn
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.models.heads import DeconvHead, Final, SimCCHead, SimpleHead
from jaxpose.models.upsample import enlarge

HEADS = {
    "deconv": (DeconvHead(5, (8, 6)), [(2, 16, 12, 5)]),
    "none": (DeconvHead(5, ()), [(2, 4, 3, 5)]),
    "simple": (SimpleHead(5), [(2, 16, 12, 5)]),
    "simcc": (SimCCHead(5, (64, 48)), [(2, 5, 96), (2, 5, 128)]),
    "simcc_deconv": (SimCCHead(5, (64, 48), 3.0, (8,)), [(2, 5, 144), (2, 5, 192)]),
}


@pytest.fixture(scope="module")
def features():
    return jax.random.normal(jax.random.key(0), (2, 4, 3, 16))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", HEADS)
def test_outputs_are_float32_and_train(name, dtype, features):
    head, shapes = HEADS[name]
    head = head.clone(dtype=dtype)
    variables = drawn.init(head, features)

    @jax.jit
    def step(params):
        outputs, updated = head.apply(
            {**variables, "params": params},
            features.astype(dtype),
            train=True,
            mutable=["batch_stats"],
        )
        return sum(jnp.square(y - 1).mean() for y in jax.tree.leaves(outputs)), (outputs, updated)

    gradients, (outputs, _) = jax.grad(step, has_aux=True)(variables["params"])
    assert [y.shape for y in jax.tree.leaves(outputs)] == shapes
    assert {y.dtype for y in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path


def test_final_is_a_convolution_of_the_enlarged_map(features):
    layer = Final(features=5, size=3, scale=4)
    params = drawn.init(layer, features)
    plain = nn.Conv(5, (3, 3), padding=1)
    expected = plain.apply(params, enlarge(features, 4))
    # Two orders of the same float32 sums.
    np.testing.assert_allclose(layer.apply(params, features), expected, atol=1e-5)


def test_simcc_classifies_each_keypoints_own_map(features):
    head, _ = HEADS["simcc"]
    variables = drawn.init(head, features)
    maps = DeconvHead(5, ()).apply({"params": variables["params"]["maps"]}, features)
    flat = np.asarray(maps).transpose(0, 3, 1, 2).reshape(2, 5, 12)
    x, y = head.apply(variables, features)
    params = jax.tree.map(np.asarray, variables["params"])
    np.testing.assert_allclose(x, flat @ params["x_kernel"] + params["x_bias"], atol=1e-6)
    np.testing.assert_allclose(y, flat @ params["y_kernel"] + params["y_bias"], atol=1e-6)


def test_initial_weights_are_those_of_the_papers():
    # SimpleBaseline and SimCC: convolutions from N(0, 0.001), linear layers from N(0, 0.01).
    head = SimCCHead(17, (64, 48), 2.0, (64, 64))
    init = jax.jit(lambda key: head.init(key, jnp.zeros((1, 4, 3, 32)))["params"])
    params = init(jax.random.key(0))
    assert abs(params["maps"]["deconv_1"]["kernel"].std() / 0.001 - 1) < 0.02
    assert abs(params["maps"]["final"]["kernel"].std() / 0.001 - 1) < 0.1
    assert abs(params["x_kernel"].std() / 0.01 - 1) < 0.05
