"""Multiply-adds counted from traces, against counts made by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxpose.errors import InputError
from jaxpose.scaling.flops import multiply_adds


def spec(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


LAYOUT = ("NHWC", "HWIO", "NHWC")


def convolve(x, kernel, **options):
    options = {"window_strides": (1, 1), "padding": "SAME"} | options
    return lax.conv_general_dilated(x, kernel, dimension_numbers=LAYOUT, **options)


def test_matrix_product():
    assert multiply_adds(jnp.matmul, spec(3, 5), spec(5, 7)) == 3 * 5 * 7


def test_batched_einsum_with_two_contracted_axes():
    count = multiply_adds(
        lambda a, b: jnp.einsum("bijk,bjkl->bil", a, b), spec(2, 3, 4, 5), spec(2, 4, 5, 6)
    )
    assert count == 2 * 3 * (4 * 5) * 6


def test_convolution_counts_taps_on_padding():
    assert multiply_adds(convolve, spec(2, 8, 6, 3), spec(3, 3, 3, 4)) == 2 * 8 * 6 * 4 * 9 * 3


def test_strided_and_depthwise_convolutions():
    def strided(x, kernel):
        return convolve(x, kernel, window_strides=(2, 2))

    def depthwise(x, kernel):
        return convolve(x, kernel, feature_group_count=4)

    assert multiply_adds(strided, spec(1, 8, 8, 3), spec(3, 3, 3, 5)) == 4 * 4 * 5 * 27
    assert multiply_adds(depthwise, spec(1, 8, 8, 4), spec(5, 5, 1, 4)) == 8 * 8 * 4 * 25


def test_transposed_convolution_does_not_count_the_zeros_it_inserts():
    def deconvolve(x, kernel):
        return lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=LAYOUT)

    assert multiply_adds(deconvolve, spec(1, 4, 4, 3), spec(4, 4, 3, 5)) == 4 * 4 * 16 * 3 * 5


def test_a_scan_counts_every_round():
    def repeated(x, weights):
        return lax.scan(lambda carry, w: (carry @ w, None), x, weights)[0]

    assert multiply_adds(repeated, spec(2, 4), spec(6, 4, 4)) == 6 * 2 * 4 * 4


def test_nested_functions_and_recomputation_are_followed():
    @jax.jit
    def inner(x):
        return jax.checkpoint(lambda y: y @ y)(x)

    assert multiply_adds(lambda x: inner(inner(x)), spec(4, 4)) == 2 * 64


def test_of_a_condition_the_dearest_branch_counts():
    def either(flag, x):
        return lax.cond(flag, lambda y: y @ y, lambda y: y, x)

    assert multiply_adds(either, jax.ShapeDtypeStruct((), bool), spec(4, 4)) == 64


def test_a_loop_without_a_known_end_is_refused():
    def loop(x):
        return lax.while_loop(lambda y: y.sum() < 10, lambda y: y @ y, x)

    with pytest.raises(InputError, match="while loop"):
        multiply_adds(loop, spec(4, 4))
