"""Whole dataset on the device as uint8 canvases: no TensorFlow, no decoding during training.

60,000 canvases of 384x288 take 20 GB, 11,000 of 192x192 take 1.2 GB. Every device of the mesh has
a copy of the whole dataset.
"""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.data.source import Batch, Source

DEVICE_KEYS = ("image", "keypoints", "visible", "box_xywh", "mask", "index")
"""Arrays of a `Batch` that are copied to the device; `index` as int32, ids stay on the host."""

DeviceBatch = dict[str, jax.Array]


def device_part(batch: Batch, keys: Iterable[str] = DEVICE_KEYS) -> Batch:
    """Select the arrays of a batch that the device needs; 64-bit integers become int32."""
    part = {key: batch[key] for key in keys}
    return {k: v.astype(np.int32) if v.dtype == np.int64 else v for k, v in part.items()}


def load(
    source: Source,
    *,
    mesh: jax.sharding.Mesh | None = None,
    keys: Iterable[str] = DEVICE_KEYS,
    chunk: int = 256,
    on_chunk: Callable[[int], None] = lambda samples: None,
) -> DeviceBatch:
    """Load the whole dataset as device arrays with leading axis `len(source)`; see `Batch`.

    Args:
      source: any dataset.
      mesh: devices that each get a copy; the default device if absent.
      keys: names of the arrays of a `Batch` to keep.
      chunk: number of samples decoded at a time; host memory is limited to a few chunks.
      on_chunk: called with the number of samples loaded after each chunk.

    Raises:
      InputError: a sample cannot be read.
    """
    sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec())
    keys = list(keys)
    count = len(source)
    chunk = min(chunk, count)
    arrays: DeviceBatch = {}
    # The last chunk overlaps the one before it instead of being shorter: one shape, one
    # compilation.
    for start in [*range(0, count - chunk, chunk), count - chunk]:
        part = device_part(source.samples(np.arange(start, start + chunk)), keys)
        if not arrays:
            arrays = {
                key: jnp.zeros((count, *value.shape[1:]), value.dtype, device=sharding)
                for key, value in part.items()
            }
        arrays = _write(arrays, jax.device_put(part, sharding), np.int32(start))
        on_chunk(start + chunk)
    return arrays


@functools.partial(jax.jit, donate_argnums=0)
def _write(arrays: DeviceBatch, part: DeviceBatch, start: jax.Array) -> DeviceBatch:
    def put(whole: jax.Array, rows: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(whole, rows, start, axis=0)

    return jax.tree.map(put, arrays, part)


@functools.partial(jax.jit, static_argnames="sharding")
def take(
    arrays: DeviceBatch,
    indices: jax.Array | np.ndarray,
    *,
    sharding: jax.sharding.Sharding | None = None,
) -> DeviceBatch:
    """Take the batch of samples `indices` `[B]`, each in `[0, count)`.

    Args:
      arrays: the result of `load`.
      indices: dataset indices; int64 is allowed if the values fit int32.
      sharding: layout of the batch over the mesh's devices.
    """
    batch = {
        key: jnp.take(value, indices, axis=0, mode="clip", indices_are_sorted=False)
        for key, value in arrays.items()
    }
    if sharding is None:
        return batch
    return jax.lax.with_sharding_constraint(batch, sharding)
