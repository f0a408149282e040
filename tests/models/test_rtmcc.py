"""RTMPose's head, its attention, and the sizes that were published."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.gau import GatedAttentionUnit, ScaleNorm
from jaxpose.models.published.rtmpose import rtmpose
from jaxpose.models.rtmcc import RTMCCHead

HEAD = RTMCCHead(5, (64, 96), hidden=12, key_dim=6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_outputs_are_float32_and_train(dtype):
    head = HEAD.clone(dtype=dtype)
    features = jax.random.normal(jax.random.key(0), (2, 2, 3, 16))
    variables = drawn.init(head, features)

    @jax.jit
    def step(params):
        x, y = head.apply({"params": params}, features.astype(dtype), train=True)
        return jnp.square(x - 1).mean() + jnp.square(y - 1).mean(), (x, y)

    gradients, (x, y) = jax.grad(step, has_aux=True)(variables["params"])
    assert x.shape == (2, 5, 192) and y.shape == (2, 5, 128)
    assert x.dtype == y.dtype == jnp.float32
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def test_scale_norm_survives_a_vector_of_zeros():
    layer = ScaleNorm()

    def norm(x):
        return layer.apply({"params": {"scale": jnp.full((1,), 2.0)}}, x)

    np.testing.assert_allclose(norm(jnp.array([[3.0, -4.0]])), [[1.2 * 2**0.5, -1.6 * 2**0.5]])
    x = jnp.zeros((1, 4))
    np.testing.assert_array_equal(norm(x), x)
    assert np.isfinite(jax.grad(lambda x: norm(x).sum())(x)).all()


def test_attention_by_its_formula():
    tokens = jax.random.normal(jax.random.key(0), (2, 3, 4))
    layer = GatedAttentionUnit(key_dim=6)
    params = drawn.init(layer, tokens)["params"]
    # Weights of unit size, so that what attention adds is as large as the tokens.
    keys = jax.random.split(jax.random.key(2), len(jax.tree.leaves(params)))
    params = jax.tree.unflatten(
        jax.tree.structure(params),
        [
            jax.random.normal(key, leaf.shape)
            for key, leaf in zip(keys, jax.tree.leaves(params), strict=True)
        ],
    )
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    t = np.asarray(tokens, np.float64)
    x = t / np.sqrt((t**2).mean(-1, keepdims=True)) * p["norm"]["scale"]
    x = x @ p["gate_value_key"]["kernel"]
    x = x / (1 + np.exp(-x))
    gate, value, base = x[..., :8], x[..., 8:16], x[..., 16:]
    query, key = (base * p["gain"][i] + p["offset"][i] for i in range(2))
    weights = np.maximum(query @ key.transpose(0, 2, 1) / np.sqrt(6), 0) ** 2
    expected = t * p["residual_scale"] + (gate * (weights @ value)) @ p["out"]["kernel"]
    actual = layer.apply({"params": params}, tokens)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_an_unknown_size_is_named():
    with pytest.raises(InputError, match="known: t, s, m, l, x"):
        rtmpose("tiny")
