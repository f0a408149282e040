"""Batches that threads read and decode while the device computes.

tf.data decodes the records of a prepared dataset; any other source makes its own samples, in
Python's threads. TensorFlow is imported for the first batch of records, and has no access to an
accelerator. It only loads the data: `index.batch_indices` chooses the samples of a batch, so a
start at any step costs nothing and every run with the same seed gives the same batches.
"""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxpose.data.index import batch_indices, process_slice
from jaxpose.data.records import BATCH_FEATURES, RecordSource, numeric_features, usable_cores
from jaxpose.data.source import Batch, Source
from jaxpose.errors import InputError
from jaxpose.requirements import imported

AHEAD = 2
"""Number of finished batches that wait for the device."""

_LAST_STEP = 2**62

Plan = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Function from a step to this process's dataset indices and mask."""


def stream(
    source: Source,
    *,
    seed: int,
    start_step: int,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
    threads: int | None = None,
) -> Iterator[tuple[int, Batch]]:
    """Endless `(step, batch)` from `start_step` on, with this process's share of each batch.

    Args:
      source: any dataset; TensorFlow decodes a `RecordSource`, any other source decodes its
        samples.
      seed: seed of the order of samples.
      start_step: the first step; the steps before it cost nothing.
      batch_size: samples of all processes together.
      process_index, process_count: number of this process, and of all; they determine the share.
      threads: threads for reading and decoding; by default one per CPU core this process may use.

    Raises:
      InputError: the batch does not divide among the processes, or (while iterating) a sample
        cannot be read.
    """
    share = process_slice(batch_size, process_index, process_count)
    batch_indices(source, seed, start_step, batch_size)  # raises errors in the arguments at once

    def plan(step: int) -> tuple[np.ndarray, np.ndarray]:
        indices = batch_indices(source, seed, step, batch_size)[share]
        return indices, np.ones(len(indices), bool)

    return _numbered(source, plan, start_step, _LAST_STEP, batch_size // process_count, threads)


def sequential(
    source: Source,
    batch_size: int,
    *,
    process_index: int = 0,
    process_count: int = 1,
    threads: int | None = None,
) -> Iterator[Batch]:
    """All samples once, in order; the last batch is padded with rows whose `mask` is False.

    Each process gets its share of every batch, so all processes get the same number of batches.

    Raises:
        InputError: the dataset is empty, the batch does not divide among the processes, or (while
            iterating) a sample cannot be read.
    """
    share = process_slice(batch_size, process_index, process_count)
    count = len(source)
    if count < 1 or batch_size < 1:
        raise InputError(f"There are no batches: {count} samples in batches of {batch_size}.")

    def plan(step: int) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)[share]
        return np.minimum(places, count - 1), places < count

    steps = -(-count // batch_size)
    return (
        batch
        for _, batch in _numbered(source, plan, 0, steps, batch_size // process_count, threads)
    )


def _numbered(
    source: Source, plan: Plan, start: int, stop: int, rows: int, threads: int | None
) -> Iterator[tuple[int, Batch]]:
    threads = threads or usable_cores()
    if isinstance(source, RecordSource):
        return _from_records(source, plan, start, stop, rows, threads)
    return _from_samples(source, plan, start, stop, threads)


@functools.cache
def _tensorflow() -> Any:
    """Import TensorFlow, limited to the CPU and without log messages.

    Raises:
      InputError: no TensorFlow is installed, or it uses an accelerator already.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN has no use here, and prints a message to stderr at every start.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    tf = imported("tensorflow", purpose="reading a prepared dataset", extra="tensorflow")
    for kind in ("GPU", "TPU"):
        try:
            tf.config.set_visible_devices([], kind)
        except RuntimeError as error:
            raise InputError(
                f"TensorFlow already uses a {kind} in this process, which JAX needs. Read the "
                "first batch before other uses of TensorFlow, or hide the device from it with "
                f"tf.config.set_visible_devices([], {kind!r})."
            ) from error
    return tf


def _from_records(
    source: RecordSource, plan: Plan, start: int, stop: int, rows: int, threads: int
) -> Iterator[tuple[int, Batch]]:
    tf = _tensorflow()
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = threads
    steps = tf.data.Dataset.range(start, stop).with_options(options)
    height, width = source.canvas_hw
    layout = {
        name: (shape, tf.float32 if dtype is np.float32 else tf.int64, dtype)
        for name, (shape, dtype) in numeric_features(source.skeleton.num_keypoints).items()
        if name in BATCH_FEATURES
    }
    wanted = {name: tf.io.FixedLenFeature(shape, kind) for name, (shape, kind, _) in layout.items()}
    wanted["image"] = tf.io.FixedLenFeature((), tf.string)

    def read(step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        indices, mask = plan(int(step))
        return indices, mask, np.array(source.read(indices), object)

    def parse(step: Any) -> dict[str, Any]:
        index, mask, raw = tf.numpy_function(read, [step], [tf.int64, tf.bool, tf.string])
        batch = tf.io.parse_example(tf.ensure_shape(raw, (rows,)), wanted)
        for name, (_, _, dtype) in layout.items():
            batch[name] = tf.cast(batch[name], dtype)
        batch["index"], batch["mask"] = (tf.ensure_shape(x, (rows,)) for x in (index, mask))
        return batch

    def decode(sample: dict[str, Any]) -> dict[str, Any]:
        # The accurate transform gives the same pixels as OpenCV, and is not slower.
        image = tf.io.decode_jpeg(sample["image"], channels=3, dct_method="INTEGER_ACCURATE")
        return {**sample, "image": tf.ensure_shape(image, (height, width, 3))}

    # Decoding sample by sample uses all threads within one batch. Reading and batching take a tenth
    # of the time of decoding, so a few threads are enough for them.
    few = max(1, threads // 4)
    batches = (
        steps.map(parse, num_parallel_calls=few)
        .unbatch()
        .map(decode, num_parallel_calls=2 * threads)
        .batch(rows, drop_remainder=True, num_parallel_calls=few)
    )
    iterator = batches.prefetch(AHEAD).as_numpy_iterator()
    for step in range(start, stop):
        try:
            batch = next(iterator)
        except tf.errors.OpError as error:
            # TensorFlow's error has neither the record nor the reason; a second read raises both.
            source.samples(plan(step)[0])
            raise RuntimeError(f"TensorFlow could not make batch {step}: {error}") from error
        yield step, batch


def _from_samples(
    source: Source, plan: Plan, start: int, stop: int, threads: int
) -> Iterator[tuple[int, Batch]]:
    def draw(step: int) -> Batch:
        indices, mask = plan(step)
        return {**source.samples(indices), "mask": mask}

    with ThreadPoolExecutor(min(threads, AHEAD), thread_name_prefix="batch") as pool:
        waiting: deque[Future[Batch]] = deque()
        ahead = iter(range(start, stop))
        try:
            for step in range(start, stop):
                while len(waiting) <= AHEAD and (number := next(ahead, None)) is not None:
                    waiting.append(pool.submit(draw, number))
                yield step, waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
