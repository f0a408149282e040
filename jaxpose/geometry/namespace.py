"""Choice of NumPy or JAX by the type of the input, and small products written out.

A function returns the kind of its input: if one array is a `jax.Array` (a tracer counts), it uses
`jax.numpy`. Products are written out rather than given to a matrix multiply, whose default
precision on accelerators (bfloat16, TF32) is too coarse for coordinates.
"""

from types import ModuleType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)


def namespace(*arrays: Any) -> ModuleType:
    """Module `jax.numpy` if one of the arrays is JAX's, else `numpy`."""
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np


def floating(array: Any, xp: ModuleType) -> Any:
    """Array unchanged if its type is floating, else as float32."""
    array = xp.asarray(array)
    return array if xp.issubdtype(array.dtype, xp.floating) else array.astype(xp.float32)


def prepend_axes(array: Any, rank: int) -> Any:
    """Adds axes of length 1 in front until the array has `rank` axes."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def transform(matrix: ArrayT, vectors: ArrayT) -> ArrayT:
    """Multiplies `matrix [..., m, n]` with `vectors [..., n]`; their leading axes must match."""
    xp = namespace(matrix, vectors)
    return xp.sum(matrix * vectors[..., None, :], axis=-1)


def multiply(left: ArrayT, right: ArrayT) -> ArrayT:
    """Multiplies `left [..., m, n]` with `right [..., n, p]`, of equal rank."""
    xp = namespace(left, right)
    return xp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def transpose(matrix: ArrayT) -> ArrayT:
    """Exchanges the last two axes."""
    return namespace(matrix).swapaxes(matrix, -1, -2)
