"""Windows of one person's 2D keypoints over time, as refiners of tracks take and return them."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import values_at


class TrackPlace(NamedTuple):
    """Place and size of the person in each window.

    Attributes:
      centre: `[B, 1, 1, 2]`, mean position of the keypoints.
      size: `[B, 1, 1, 1]`, longer side of the box around the keypoints, the mean over frames.
    """

    centre: jax.Array
    size: jax.Array


@dataclass(frozen=True)
class TrackCodec:
    """Inputs and targets of a refiner of tracks.

    Keypoints are relative to the person's centre, in units of the person's size, both of the whole
    window. So a refiner does not depend on the place and size of people in the image. Missing
    keypoints are filled by straight lines between the frames around them, and a third value of each
    keypoint is 1 where it is known and 0 where it is filled.

    Attributes:
      frames: frames of a window, T.
      fps: lowest and highest frames per second of windows.

    Raises:
      InputError: less than 3 frames, or rates that are no range.
    """

    frames: int = 24
    fps: tuple[float, float] = (20.0, 60.0)

    def __post_init__(self) -> None:
        if self.frames < 3:
            raise InputError(f"codec.frames is {self.frames}, but motion needs at least 3 frames.")
        low, high = self.fps
        if not 0 < low <= high:
            raise InputError(
                f"codec.fps is ({low:g}, {high:g}); it must be the lowest and the highest rate."
            )

    def framed(self, keypoints: jax.Array, known: jax.Array) -> tuple[jax.Array, TrackPlace]:
        """Inputs `[B, T, K, 3]` float32 and the place of each window.

        Args:
          keypoints: `[B, T, K, 2]`; any finite values where not known.
          known: `[B, T, K]` bool.
        """
        ever = known.any(axis=1, keepdims=True)[..., None]
        filled = fill_lines(keypoints.astype(jnp.float32), known)
        share = ever.astype(jnp.float32)
        count = jnp.maximum(share.sum(axis=2, keepdims=True), 1.0)
        middle = (share * filled).sum(axis=2, keepdims=True) / count
        # In the middle of its frame, a keypoint that is never known does not enlarge the box.
        filled = jnp.where(ever, filled, middle)
        centre = middle.mean(axis=1, keepdims=True)
        sides = filled.max(axis=2, keepdims=True) - filled.min(axis=2, keepdims=True)
        size = sides.max(axis=3, keepdims=True).mean(axis=1, keepdims=True)
        place = TrackPlace(centre, jnp.maximum(size, 1e-6))
        values = (filled - centre) / place.size
        return jnp.concatenate([values, known.astype(jnp.float32)[..., None]], axis=-1), place

    def encode(self, keypoints: jax.Array, place: TrackPlace) -> jax.Array:
        """Targets `[B, T, K, 2]` float32: keypoints relative to `place`."""
        return (keypoints.astype(jnp.float32) - place.centre) / place.size

    def decode(self, outputs: jax.Array, place: TrackPlace) -> jax.Array:
        """Inverse of `encode`: outputs `[B, T, K, 2]` as keypoints."""
        return outputs.astype(jnp.float32) * place.size + place.centre

    def describe(self) -> str:
        """Input in one phrase."""
        low, high = self.fps
        rate = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"windows of {self.frames} frames, {rate} a second"


def fill_lines(values: jax.Array, known: jax.Array) -> jax.Array:
    """Values `[B, T, K, D]` with those that are not known on a line between their neighbours.

    Before the first and after the last known frame its value is kept. A keypoint that is known in
    no frame becomes 0.

    Args:
      values: `[B, T, K, D]`.
      known: `[B, T, K]` bool.
    """
    count = known.shape[1]
    frames = jnp.arange(count, dtype=jnp.int32)[None, :, None]
    first = latest(known)
    last = count - 1 - latest(known[:, ::-1])[:, ::-1]
    first, last = jnp.where(first < 0, last, first), jnp.where(last >= count, first, last)
    low, high = (jnp.clip(place, 0, count - 1) for place in (first, last))
    share = (frames - low) / jnp.maximum(high - low, 1)
    start, end = (values_at(values, place[..., None], 1) for place in (low, high))
    line = start + share[..., None] * (end - start)
    return jnp.where(known.any(axis=1, keepdims=True)[..., None], line, 0.0)


def latest(there: jax.Array) -> jax.Array:
    """Latest frame at or before each frame at which `there [B, T, K]` is True; -1 for none."""
    frames = jnp.arange(there.shape[1], dtype=jnp.int32)
    # A maximum over pairs of frames compiles in a fraction of the time of a scan.
    before = (frames[:, None] >= frames[None])[None, :, :, None]
    return jnp.max(jnp.where(before & there[:, None], frames[None, None, :, None], -1), axis=2)
