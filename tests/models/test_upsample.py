"""Upsampling layers against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxpose.models.upsample import _deconv, deconv, enlarge, kernel_gradient_by_matmul


@pytest.mark.parametrize("groups", [1, 2])
def test_deconv_is_the_transposed_convolution(groups):
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 4 // groups, 6))
    # A transposed convolution is one over the input with zeros put between its pixels.
    expected = lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        [(2, 2)] * 2,
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    actual = jax.jit(deconv)(x, kernel)
    assert actual.shape == (2, 10, 6, 6)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_deconv_gradients_are_those_of_the_plain_form():
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 4, 6))
    weights = jax.random.normal(jax.random.key(2), (2, 10, 6, 6))

    def gradients(layer):
        return jax.jit(jax.grad(lambda x, k: (layer(x, k) * weights).sum(), (0, 1)))(x, kernel)

    expected = gradients(_deconv)
    for actual in (gradients(deconv), (expected[0], kernel_gradient_by_matmul(x, kernel, weights))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), actual, expected)


def test_gradients_of_groups_are_those_of_each_group():
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 2, 6))

    def one_by_one(x, kernel):
        parts = zip(jnp.split(x, 2, axis=-1), jnp.split(kernel, 2, axis=-1), strict=True)
        return jnp.concatenate([deconv(*part) for part in parts], axis=-1)

    def gradients(layer):
        return jax.jit(jax.grad(lambda x, k: (layer(x, k) ** 2).sum(), (0, 1)))(x, kernel)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3),
        gradients(deconv),
        gradients(one_by_one),
    )


def test_deconv_gradients_keep_the_compute_dtype():
    x = jnp.ones((1, 2, 2, 4), jnp.bfloat16)
    kernel = jnp.ones((4, 4, 4, 6), jnp.bfloat16)
    gradients = jax.grad(lambda x, k: deconv(x, k).sum(), (0, 1))(x, kernel)
    assert {g.dtype for g in gradients} == {jnp.dtype("bfloat16")}


def test_deconv_equals_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 5), np.float32)  # N, C, H, W
    weight = rng.standard_normal((3, 6, 4, 4), np.float32)
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x), torch.tensor(weight), stride=2, padding=1
    ).numpy()
    actual = deconv(x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 0, 1))
    np.testing.assert_allclose(actual, expected.transpose(0, 2, 3, 1), atol=1e-4)


def test_enlarge_is_bilinear_with_aligned_edges():
    x = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    row = np.asarray(enlarge(x, 4))[0, 0, :, 0]
    np.testing.assert_allclose(row, np.clip((np.arange(12) + 0.5) / 4 - 0.5, 0, 2), atol=1e-6)
