"""Speed of the input path, from records to batches on the device: each stage and the whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jax
import numpy as np

from jaxpose.bench.subset import Part
from jaxpose.bench.timing import Timing, timed
from jaxpose.data import example, records, resident
from jaxpose.data.index import sample_indices
from jaxpose.data.source import Source, SyntheticPeople
from jaxpose.train.device_batches import DEVICE_KEYS, to_device
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import batch_sharded, make_mesh

_RESIDENT = 512  # canvases in device memory; more of them do not change the time to gather one


class Stage(NamedTuple):
    """One stage of the input path, with its time per batch of `samples`."""

    name: str
    timing: Timing
    samples: int


@contextmanager
def on_cores(count: int) -> Iterator[int]:
    """Restricts this process to its first `count` cores inside the `with` block.

    Libraries count the cores when they start their threads, so this must come before them. Yields
    the number of cores in use; systems without CPU affinity (macOS) keep all cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield records.usable_cores()
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield records.usable_cores()
    finally:
        os.sched_setaffinity(0, before)


def measure_input(
    source: Source, batch_size: int, *, rounds: int = 5, seconds: float = 1.0
) -> Iterator[Stage]:
    """Measures one stage after the other, cheap ones first.

    Args:
      source: prepared records, or any other dataset, which then yields its samples itself.
      batch_size: samples in one batch.
      rounds, seconds: as in `timed`.
    """
    for name, work in _stages(source, batch_size):
        # Three warm-up calls also use up the batches that the stream has prefetched.
        yield Stage(name, timed(work, rounds=rounds, seconds=seconds, warm=3), batch_size)


def _stages(source: Source, batch_size: int) -> Iterator[tuple[str, Callable[[], object]]]:
    count = len(source)
    steps = iter(range(10**9))

    def indices() -> np.ndarray:
        return sample_indices(0, next(steps), batch_size, count)

    yield "choose indices", indices
    if isinstance(source, records.RecordSource):
        yield from _of_records(source, indices)
        batch = source.samples(indices())
        yield "all: batch of canvases", lambda: source.samples(indices())
        from jaxpose.data.pipeline import stream

        batches = stream(source, seed=0, start_step=0, batch_size=batch_size)
        yield "all: stream by tf.data", lambda: next(batches)
    else:
        batch = source.samples(indices())
        yield "make samples", lambda: source.samples(indices())
    mesh = make_mesh(Mesh(), jax.devices()[:1])
    yield "transfer to device", lambda: jax.block_until_ready(to_device(batch, mesh))
    part = Part(source, min(count, _RESIDENT))
    arrays = resident.load(part, mesh=mesh, keys=DEVICE_KEYS)
    sharding = batch_sharded(mesh)

    def gather() -> None:
        chosen = sample_indices(0, next(steps), batch_size, len(part))
        jax.block_until_ready(resident.take(arrays, chosen, sharding=sharding))

    yield "gather on device", gather
    drawn = SyntheticPeople(10**6, 0, source.canvas_hw).open()
    if type(drawn) is not type(source):
        few = iter(range(0, 10**6, 4))

        def draw() -> None:
            for _ in range(batch_size // 4):
                start = next(few)
                drawn.samples(np.arange(start, start + 4))

        yield "draw synthetic people", draw


def _of_records(
    source: records.RecordSource, indices: Callable[[], np.ndarray]
) -> Iterator[tuple[str, Callable[[], object]]]:
    rows = source.read(indices())
    layout = records.numeric_features(source.skeleton.num_keypoints)
    pictures = [example.data(example.parse_features(row), "image") for row in rows]

    def parse() -> None:
        for row in rows:
            features = example.parse_features(row)
            for name in records.BATCH_FEATURES:
                example.numbers(features, name, *layout[name])

    def decode() -> None:
        for picture in pictures:
            records.decode_canvas(picture, source.canvas_hw)

    yield "read records", lambda: source.read(indices())
    yield "parse numbers", parse
    yield "decode JPEG to canvas", decode
