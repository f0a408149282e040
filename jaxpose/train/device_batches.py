"""Batches on the mesh, from a stream on the host or from canvases kept in device memory."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxpose.data import resident
from jaxpose.data.index import batch_indices, process_slice
from jaxpose.data.source import Source
from jaxpose.train.distributed import batch_shard
from jaxpose.train.mesh import batch_sharded

# Arrays that the step of a top-down model reads; the others of a batch stay on the host.
DEVICE_KEYS = ("image", "keypoints", "visible", "box_xywh", "mask")


def to_device(
    batch: dict[str, np.ndarray],
    mesh: jax.sharding.Mesh,
    keys: Sequence[str] = DEVICE_KEYS,
) -> dict[str, jax.Array]:
    """Convert this process's part of a batch to the global arrays `keys`, split over the mesh."""
    sharding = batch_sharded(mesh)
    return {key: jax.make_array_from_process_local_data(sharding, batch[key]) for key in keys}


def abstract_arrays(
    shapes: Mapping[str, tuple[tuple[int, ...], Any]], batch_size: int, mesh: jax.sharding.Mesh
) -> dict[str, Any]:
    """Arrays of a batch split over the mesh, from the shape and type of a sample; no data."""
    return {
        name: jax.ShapeDtypeStruct((batch_size, *shape), dtype, sharding=batch_sharded(mesh))
        for name, (shape, dtype) in shapes.items()
    }


def train_batches(
    experiment: Any,
    source: Source,
    mesh: jax.sharding.Mesh,
    start_step: int,
    on_loaded: Callable[[int], None] = lambda samples: None,
    keys: Sequence[str] = DEVICE_KEYS,
) -> Iterator[dict[str, jax.Array]]:
    """Training batches from `start_step` on; resident and streamed data give the same batches.

    Args:
      on_loaded: called with the number of samples in device memory while a resident dataset loads.
      keys: names of the arrays that the step reads.
    """
    if experiment.resident:
        return _resident(experiment, source, mesh, start_step, on_loaded, keys)
    return _streamed(experiment, source, mesh, start_step, keys)


def eval_batches(
    experiment: Any, source: Source, mesh: jax.sharding.Mesh
) -> Iterator[dict[str, np.ndarray]]:
    """All samples of `source` once, in order, on the host; the last batch is padded and masked.

    With several processes, each gets its part of every batch.
    """
    size = experiment.evaluation.batch_size
    part, parts = batch_shard(size, mesh)
    if not experiment.resident:
        from jaxpose.data.pipeline import sequential

        yield from sequential(source, size, process_index=part, process_count=parts)
        return
    # A run with resident data needs no TensorFlow, for evaluation neither.
    rows = process_slice(size, part, parts)
    for start in range(0, len(source), size):
        places = np.arange(start, start + size)[rows]
        batch = source.samples(np.minimum(places, len(source) - 1))
        yield batch | {"mask": places < len(source)}


def _streamed(
    experiment: Any,
    source: Source,
    mesh: jax.sharding.Mesh,
    start_step: int,
    keys: Sequence[str],
) -> Iterator[dict[str, jax.Array]]:
    from jaxpose.data.pipeline import stream

    part, parts = batch_shard(experiment.batch_size, mesh)
    batches = stream(
        source,
        seed=experiment.seed,
        start_step=start_step,
        batch_size=experiment.batch_size,
        process_index=part,
        process_count=parts,
    )
    # Two batches are copied ahead, so that the copy overlaps with the step before.
    ahead: deque[dict[str, jax.Array]] = deque()
    for _, batch in batches:
        ahead.append(to_device(batch, mesh, keys))
        if len(ahead) > 2:
            yield ahead.popleft()
    yield from ahead


def _resident(
    experiment: Any,
    source: Source,
    mesh: jax.sharding.Mesh,
    start_step: int,
    on_loaded: Callable[[int], None],
    keys: Sequence[str],
) -> Iterator[dict[str, jax.Array]]:
    arrays = resident.load(source, mesh=mesh, keys=keys, on_chunk=on_loaded)
    step = start_step
    while True:
        indices = batch_indices(source, experiment.seed, step, experiment.batch_size)
        yield resident.take(arrays, indices, sharding=batch_sharded(mesh))
        step += 1
