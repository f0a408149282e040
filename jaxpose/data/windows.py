"""Windows of frames, cut by index inside a jitted step: nothing is copied until a batch is.

A dataset's frames lie one after the other (`motion.py`). A window is three numbers: the frame it
stands for and the first and last frame of its clip. Frames beyond either end repeat it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data.index import sample_indices
from jaxpose.errors import InputError
from jaxpose.geometry.mirror import mirror


class Windows(NamedTuple):
    """M windows of one dataset, int32; a pytree to put on the device once.

    Attributes:
      at: `[M]` the frame that each stands for.
      first: `[M]` the first frame of its clip.
      last: `[M]` the last.
    """

    at: np.ndarray | jax.Array
    first: np.ndarray | jax.Array
    last: np.ndarray | jax.Array


def every_frame(lengths: np.ndarray, stride: int = 1) -> Windows:
    """A window for each `stride`-th frame of clips of `lengths [S]`, from each one's first on."""
    return _windows(lengths, [np.arange(0, length, stride) for length in lengths])


def covering(
    lengths: np.ndarray, frames: int, stride: int | None = None, *, repeat: bool = True
) -> Windows:
    """Windows of `frames` from `at` on, that together hold every frame.

    The last of a clip ends with it, and so may overlap the one before by more than the others do.

    Args:
      lengths: `[S]`.
      frames: of a window.
      stride: frames from one window's start to the next; `frames` if absent.
      repeat: let a clip shorter than a window fill it up with its last frame (`inside` says which
        frames are so).

    Raises:
      InputError: a clip is shorter than a window and `repeat` is off.
    """
    short = np.flatnonzero(np.asarray(lengths) < frames)
    if short.size and not repeat:
        raise InputError(
            f"{short.size} of {len(lengths)} clips are shorter than a window of {frames} frames; "
            f"the first is clip {short[0]} with {lengths[short[0]]}. Take shorter windows, leave "
            "these clips out, or have their last frame repeated."
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
        raise InputError("There is no clip, or one without frames, to cut windows from.")
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
    """Which frames the windows `indices [B]` hold, and which of them are no repetition.

    Args:
      windows: on the device.
      indices: `[B]`, each in `[0, M)`.
      before: frames ahead of the window's own.
      after: frames behind it.

    Returns:
      frames `[B, before + 1 + after]` int32 and whether they lie inside the clip, of that shape.
    """
    at, first, last = (jnp.take(part, indices, axis=0)[:, None] for part in windows)
    frames = at + jnp.arange(-before, after + 1, dtype=jnp.int32)[None]
    return jnp.clip(frames, first, last), (frames >= first) & (frames <= last)


def take_frames(values: jax.Array, frames: jax.Array) -> jax.Array:
    """`[B, T, ...]`: rows `frames [B, T]` of `values [N, ...]`."""
    return jnp.take(values, frames, axis=0, mode="clip")


def index_stream(seed: int, first_step: int, steps: int, batch: int, count: int) -> np.ndarray:
    """Window indices `[steps, batch]` int32 of consecutive steps, a pure function of its arguments.

    Row i is what `sample_indices` draws for step `first_step + i`, so an epoch may go to the
    device in one piece or in any others.
    """
    rows = [sample_indices(seed, first_step + i, batch, count) for i in range(steps)]
    return np.stack(rows).astype(np.int32)


def random_mirror(
    key: jax.Array,
    permutation: np.ndarray,
    keypoints: jax.Array,
    joints: jax.Array,
    *known: jax.Array,
) -> tuple[jax.Array, ...]:
    """Mirrors each window with probability one half, 2D and 3D alike.

    Args:
      key: a JAX key.
      permutation: `[K]`, of the skeleton.
      keypoints: `[B, T, K, D]` in a frame whose origin lies in the mirror (screen, image plane or
        box; not pixels).
      joints: `[B, T', K, 3]` in the camera's frame or relative to the root.
      known: further arrays `[B, T', K]`, of weights or labels, whose joints are exchanged too.

    Returns:
      keypoints, joints and `known`, of the shapes they had.
    """
    chosen = jax.random.bernoulli(key, 0.5, keypoints.shape[:1])

    def pick(mirrored: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.where(chosen.reshape(-1, *(1,) * (values.ndim - 1)), mirrored, values)

    swapped = (pick(jnp.take(values, permutation, axis=-1), values) for values in known)
    points = (pick(mirror(values, permutation), values) for values in (keypoints, joints))
    return (*points, *swapped)
