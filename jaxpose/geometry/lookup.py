"""Values at given places along an axis.

On CPUs and GPUs these are gathers. A TPU gathers one element after another, so there they are
slices or masked sums, which give the same bits: each sum has one value that is not zero.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry.namespace import ArrayT


def reordered(values: ArrayT, order: Any, axis: int) -> ArrayT:
    """Values `[..., N, ...]` in a fixed order along `axis`, such as mirrored keypoints.

    NumPy or JAX, as `values`. `order` has integers `[M]` in range; the result is `[..., M, ...]`.
    An order that is an argument of the program is not fixed, and is gathered on a TPU too.
    """
    if isinstance(order, jax.core.Tracer):
        gathered: Any = jnp.take(values, order, axis=axis)
        return gathered
    if isinstance(values, np.ndarray):
        return np.take(values, order, axis=axis)
    return _reordered(values, tuple(np.asarray(order).tolist()), axis % values.ndim)


@partial(jax.jit, static_argnums=(1, 2))
def _reordered(values: jax.Array, order: tuple[int, ...], axis: int) -> jax.Array:
    def by_slices(values: jax.Array) -> jax.Array:
        cut = partial(jax.lax.slice_in_dim, values, axis=axis)
        return jnp.concatenate([cut(first, last) for first, last in _runs(order)], axis=axis)

    def by_gather(values: jax.Array) -> jax.Array:
        return jnp.take(values, np.asarray(order), axis=axis)

    result: jax.Array = jax.lax.platform_dependent(values, tpu=by_slices, default=by_gather)
    return result


def _runs(order: tuple[int, ...]) -> list[tuple[int, int]]:
    """Parts of `order` that count up by one: first number, last number + 1."""
    starts = [i for i in range(len(order)) if i == 0 or order[i] != order[i - 1] + 1]
    lengths = np.diff([*starts, len(order)]).tolist()
    return [(order[i], order[i] + n) for i, n in zip(starts, lengths, strict=True)]


@partial(jax.jit, static_argnums=2)
def values_at(values: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    """Values `[..., M, ...]` at `index`, as `jnp.take_along_axis`; the index must be in range.

    Args:
      values: `[..., N, ...]` of any number type.
      index: integers `[..., M, ...]`; other axes are as those of `values`, or 1.
      axis: static; the axis of N.
    """

    def by_sums(values: jax.Array, index: jax.Array) -> jax.Array:
        values, index = (jnp.moveaxis(x, axis, -1) for x in (values, index))
        place = jnp.arange(values.shape[-1], dtype=index.dtype)
        here = index[..., :, None] == place.reshape((1,) * values.ndim + place.shape)
        zero = jnp.zeros((), values.dtype)
        found = jnp.sum(jnp.where(here, values[..., None, :], zero), axis=-1, dtype=values.dtype)
        return jnp.moveaxis(found, -1, axis)

    def by_gather(values: jax.Array, index: jax.Array) -> jax.Array:
        return jnp.take_along_axis(values, index, axis=axis)

    result: jax.Array = jax.lax.platform_dependent(values, index, tpu=by_sums, default=by_gather)
    return result
