"""Values at given places along an axis.

On CPUs and GPUs these are gathers. A TPU gathers one element after another, so there they are
slices or masked sums, which give the same bits: each sum has one value that is not zero. The same
holds for marks at given places.
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
        steps = set(np.diff(order).tolist())
        if len(steps) == 1 and (step := steps.pop()) > 1:
            return cut(order[0], order[-1] + 1, step)
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


@jax.jit
def rows_at(values: jax.Array, index: jax.Array) -> jax.Array:
    """Rows `[B, M, ...]` of floats `[B, N, ...]` at `index` `[B, M]`, which must be in range.

    On a TPU a value that is not finite makes the whole column of its sample NaN.
    """
    flat = values.reshape(*values.shape[:2], -1)

    def by_products(flat: jax.Array, index: jax.Array) -> jax.Array:
        # A product by 1 or 0 in the highest precision is exact.
        here = jax.nn.one_hot(index, flat.shape[1], dtype=flat.dtype)
        return jnp.einsum("bmn,bnc->bmc", here, flat, precision=jax.lax.Precision.HIGHEST)

    def by_gather(flat: jax.Array, index: jax.Array) -> jax.Array:
        return jnp.take_along_axis(flat, index[..., None], axis=1)

    found: jax.Array = jax.lax.platform_dependent(flat, index, tpu=by_products, default=by_gather)
    return found.reshape(*index.shape, *values.shape[2:])


@partial(jax.jit, static_argnums=2)
def marked(row: jax.Array, column: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Pixels `[..., h, w]` that are one of the places, bool.

    Args:
      row, column: integers `[..., M]`; places with a negative row or column mark nothing.
      size: static; (h, w), which all rows and columns are below.
    """
    height, width = size

    def by_products(row: jax.Array, column: jax.Array) -> jax.Array:
        # Ones and zeros are exact in bfloat16, and any sum of ones is above 0.
        rows, columns = (
            jax.nn.one_hot(x, n, dtype=jnp.bfloat16) for x, n in ((row, height), (column, width))
        )
        return jnp.einsum("...mh,...mw->...hw", rows, columns) > 0

    def by_scatter(row: jax.Array, column: jax.Array) -> jax.Array:
        index = jnp.where((row < 0) | (column < 0), height * width, row * width + column)
        pixels = jnp.zeros((index.size // index.shape[-1], height * width), bool)
        line = jnp.broadcast_to(jnp.arange(len(pixels))[:, None], (len(pixels), index.shape[-1]))
        pixels = pixels.at[line, index.reshape(line.shape)].set(True, mode="drop")
        return pixels.reshape(*row.shape[:-1], height, width)

    result: jax.Array = jax.lax.platform_dependent(row, column, tpu=by_products, default=by_scatter)
    return result
