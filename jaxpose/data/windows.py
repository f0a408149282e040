"""Windows of frames, gathered by index inside a jitted step, so only batches are copied.

The frames of a dataset are stored one after another (`motion.py`). A window is three numbers: its
own frame, and the first and last frame of its clip. Beyond either end, the end frame is repeated.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data.index import sample_indices
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.mirror import mirror

_AHEAD = 256  # number of steps whose indices are sent to the devices at once


class Windows(NamedTuple):
    """M windows of one dataset, int32; a pytree to put on the device once.

    Attributes:
      at: `[M]` own frame of each window.
      first: `[M]` first frame of its clip.
      last: `[M]` last frame of its clip.
    """

    at: np.ndarray | jax.Array
    first: np.ndarray | jax.Array
    last: np.ndarray | jax.Array


def every_frame(lengths: np.ndarray, stride: int = 1) -> Windows:
    """Create a window for each `stride`-th frame of clips of `lengths [S]`, from the first on."""
    return _windows(lengths, [np.arange(0, length, stride) for length in lengths])


def covering(
    lengths: np.ndarray, frames: int, stride: int | None = None, *, repeat: bool = True
) -> Windows:
    """Create windows of `frames` frames, from `at` on, that together cover every frame.

    The last window of a clip ends with the clip, so it may overlap the window before it by more
    than other windows do.

    Args:
      lengths: `[S]`, number of frames of each clip.
      frames: number of frames of a window.
      stride: number of frames from the start of a window to the next; default `frames`.
      repeat: for a clip shorter than a window, repeat its last frame (`inside` of `frame_indices`
        is False there).

    Raises:
      InputError: a clip is shorter than a window and `repeat` is False.
    """
    short = np.flatnonzero(np.asarray(lengths) < frames)
    if short.size and not repeat:
        raise InputError(
            f"{short.size} of {len(lengths)} clips are shorter than a window of {frames} frames; "
            f"the first is clip {short[0]} with {lengths[short[0]]}. Use shorter windows, leave "
            "these clips out, or set repeat=True to repeat their last frame."
        )
    step = frames if stride is None else stride
    starts = []
    for length in lengths:
        end = max(int(length) - frames, 0)
        starts.append(np.array([*range(0, end, step), end]))
    return _windows(lengths, starts)


def _windows(lengths: np.ndarray, places: list[np.ndarray]) -> Windows:
    lengths = np.asarray(lengths, np.int64)
    if not lengths.size or lengths.min() < 1:
        raise InputError("Windows need at least one clip, and every clip needs frames.")
    if lengths.sum() >= 2**31:
        raise InputError(f"{lengths.sum():,} frames are more than an int32 index can hold.")
    first = np.cumsum(lengths) - lengths
    count = [len(place) for place in places]
    at = np.concatenate([start + place for start, place in zip(first, places, strict=True)])
    ends = np.repeat(first, count), np.repeat(first + lengths - 1, count)
    return Windows(*(array.astype(np.int32) for array in (at, *ends)))


def frame_indices(
    windows: Windows, indices: jax.Array, before: int, after: int
) -> tuple[jax.Array, jax.Array]:
    """Frames of the windows `indices [B]`, and a mask of the frames that are not repetitions.

    Args:
      windows: windows on the device.
      indices: `[B]`, each in `[0, M)`.
      before: number of frames before the window's own frame.
      after: number of frames after it.

    Returns:
      frames `[B, before + 1 + after]` int32, and a mask of the same shape that is True inside the
      clip.
    """
    at, first, last = (jnp.take(part, indices, axis=0)[:, None] for part in windows)
    frames = at + jnp.arange(-before, after + 1, dtype=jnp.int32)[None]
    return jnp.clip(frames, first, last), (frames >= first) & (frames <= last)


def take_frames(values: jax.Array, frames: jax.Array) -> jax.Array:
    """Take rows `frames [B, T]` of `values [N, ...]`: `[B, T, ...]`."""
    return jnp.take(values, frames, axis=0, mode="clip")


def index_stream(seed: int, first_step: int, steps: int, batch: int, count: int) -> np.ndarray:
    """Window indices `[steps, batch]` int32 of consecutive steps, a pure function of its arguments.

    Row i is the result of `sample_indices` for step `first_step + i`, so an epoch may be sent to
    the device in parts of any size.
    """
    rows = [sample_indices(seed, first_step + i, batch, count) for i in range(steps)]
    return np.stack(rows).astype(np.int32)


def indices_ahead(
    seed: int, step: int, batch: int, count: int, sharding: jax.sharding.Sharding
) -> Iterator[tuple[jax.Array, np.int32]]:
    """Indices of each step from `step` on: `[_AHEAD, batch]` on the devices, and the step's row.

    The indices of many steps are sent at once; others as in `index_stream`.
    """
    while True:
        ahead = jax.device_put(index_stream(seed, step, _AHEAD, batch, count), sharding)
        for row in range(_AHEAD):
            yield ahead, np.int32(row)
        step += _AHEAD


def random_mirror(
    key: jax.Array,
    permutation: np.ndarray,
    keypoints: jax.Array,
    joints: jax.Array,
    *known: jax.Array,
) -> tuple[jax.Array, ...]:
    """Mirror each window with probability one half, in 2D and in 3D.

    Args:
      key: a JAX key.
      permutation: `[K]`, which exchanges left and right keypoints.
      keypoints: `[B, T, K, D]` in a frame whose origin is on the mirror axis (screen, image plane
        or box; not pixels).
      joints: `[B, T', K, 3]` in the camera's frame or relative to the root.
      known: further arrays `[B, T', K]`, such as weights or labels, whose joints are exchanged.

    Returns:
      keypoints, joints and `known`, of unchanged shapes.
    """
    chosen = jax.random.bernoulli(key, 0.5, keypoints.shape[:1])

    def pick(mirrored: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.where(chosen.reshape(-1, *(1,) * (values.ndim - 1)), mirrored, values)

    swapped = (pick(reordered(values, permutation, axis=-1), values) for values in known)
    points = (pick(mirror(values, permutation), values) for values in (keypoints, joints))
    return (*points, *swapped)
