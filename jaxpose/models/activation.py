"""Activations that a matrix product follows."""

from typing import Any

import jax

from jaxpose.models.split import recomputes


def product_of_gelu(
    x: jax.Array,
    kernel: jax.Array,
    dimension_numbers: Any,
    *,
    approximate: bool = False,
    **options: Any,
) -> jax.Array:
    """Product of GELU(x) and a kernel: a `dot_general` for `nn.Dense`.

    GELU is that of the error function, or its approximation by tanh if `approximate`.

    In a program for TPUs or GPUs the backward pass computes the activation again, and the forward
    pass keeps `x` alone (see `split.recomputes`).
    """

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        activation = jax.nn.gelu(x, approximate=approximate)
        return jax.lax.dot_general(activation, kernel, dimension_numbers, **options)

    return (jax.checkpoint(product) if recomputes() else product)(x, kernel)
