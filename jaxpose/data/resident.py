"""The whole dataset on the device as uint8 canvases: no TensorFlow, no decoding while training.

60,000 canvases of 384x288 take 20 GB, 11,000 of 192x192 take 1.2 GB. Arrays are copied to every
device of the sharding that is given, so each device must hold the whole set.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data.index import sample_indices
from jaxpose.data.source import Batch, Source

DEVICE_KEYS = ("image", "keypoints", "visible", "box_xywh", "mask", "index")
"""What of a `Batch` goes to the device; `index` goes as int32, ids stay on the host."""

DeviceBatch = dict[str, jax.Array]


def device_part(batch: Batch) -> Batch:
    """The arrays of a batch that the device needs, in the types it holds them in."""
    part = {key: batch[key] for key in DEVICE_KEYS}
    part["index"] = part["index"].astype(np.int32)
    return part


def load(
    source: Source,
    *,
    sharding: jax.sharding.Sharding | None = None,
    chunk: int = 256,
) -> DeviceBatch:
    """The whole dataset as device arrays with leading axis `len(source)`; see `Batch`.

    Args:
      source: any dataset.
      sharding: where the arrays go: replicated over a mesh, or None for the default device.
      chunk: samples decoded at a time; host memory stays at a few chunks.

    Raises:
      InputError: a sample cannot be read.
    """
    count = len(source)
    chunk = min(chunk, count)
    arrays: DeviceBatch = {}
    # The last chunk overlaps the one before instead of being shorter: one shape, one compilation.
    for start in [*range(0, count - chunk, chunk), count - chunk]:
        part = device_part(source.samples(np.arange(start, start + chunk)))
        if not arrays:
            arrays = {
                key: jnp.zeros((count, *value.shape[1:]), value.dtype, device=sharding)
                for key, value in part.items()
            }
        arrays = _write(arrays, jax.device_put(part, sharding), np.int32(start))
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
    """The batch of samples `indices` `[B]`, each in `[0, count)`.

    Args:
      arrays: what `load` returned.
      indices: dataset indices; int64 ones are fine where they fit int32.
      sharding: how the batch is laid out over the mesh's devices.
    """
    batch = {
        key: jnp.take(value, indices, axis=0, mode="clip", indices_are_sorted=False)
        for key, value in arrays.items()
    }
    if sharding is None:
        return batch
    return jax.lax.with_sharding_constraint(batch, sharding)


def stream(
    arrays: DeviceBatch,
    *,
    seed: int,
    start_step: int,
    batch_size: int,
    sharding: jax.sharding.Sharding | None = None,
) -> Iterator[tuple[int, DeviceBatch]]:
    """Endless `(step, batch)` from `start_step` on, in the order of `index.sample_indices`.

    The same samples in the same order as `pipeline.stream` gives for the same seed and batch size.
    """
    count = arrays["index"].shape[0]
    step = start_step
    while True:
        indices = sample_indices(seed, step, batch_size, count).astype(np.int32)
        yield step, take(arrays, indices, sharding=sharding)
        step += 1
