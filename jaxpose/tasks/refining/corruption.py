"""Faults of detected keypoints, drawn at random for keypoints that have none."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.tracks import latest
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered, values_at


@dataclass(frozen=True)
class Corruption:
    """Kinds of faults and how often they begin; lengths are in sizes of the person.

    Each fault begins with its probability in any frame, and lasts 1 to its largest number of
    frames, all alike likely.

    Attributes:
      noise: lowest and highest standard deviation of the noise on x and y, one for each window;
        between both by the square of a uniform number, since little noise needs the most exactness.
      jumps: probability that a keypoint jumps to another place.
      jump: standard deviation of the distance of a jump along x and y.
      jump_frames: most frames of a jump.
      swaps: probability that a left and a right keypoint are exchanged; the same once more for all
        of them together.
      swap_frames: most frames of an exchange.
      gaps: probability that a keypoint is missing; gap_frames: most frames of it.
      absences: probability that the person is missing; absence_frames: most frames of it.
      short: probability that a window ends early, at any frame, as those of short tracks do.
    """

    noise: tuple[float, float] = (0.0, 0.03)
    jumps: float = 0.01
    jump: float = 0.15
    jump_frames: int = 4
    swaps: float = 0.003
    swap_frames: int = 4
    gaps: float = 0.01
    gap_frames: int = 10
    absences: float = 0.01
    absence_frames: int = 6
    short: float = 0.1

    def __post_init__(self) -> None:
        for name in ("jumps", "swaps", "gaps", "absences", "short"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"corruption.{name} is a probability in [0, 1], not {getattr(self, name)}."
                )
        for name in ("jump_frames", "swap_frames", "gap_frames", "absence_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"corruption.{name} must be at least 1, not {getattr(self, name)}")
        low, high = self.noise
        if not 0 <= low <= high or self.jump < 0:
            raise InputError(
                f"corruption.noise is ({low:g}, {high:g}) and jump {self.jump:g}: both must be at "
                "least 0, and the noise a lowest and a highest value."
            )


def corrupted(
    key: jax.Array, keypoints: jax.Array, permutation: np.ndarray, kinds: Corruption
) -> tuple[jax.Array, jax.Array]:
    """Keypoints `[B, T, K, 2]` with faults, and bool `[B, T, K]`, False where they are missing.

    Args:
      key: a JAX key.
      keypoints: `[B, T, K, 2]` in sizes of the person.
      permutation: `[K]`, which exchanges left and right keypoints.
      kinds: faults.
    """
    batch, frames, count, _ = keypoints.shape
    sizes = [batch * frames * count] * 6 + [batch * frames] * 4 + [batch] * 3
    shapes = [(batch, frames, count)] * 6 + [(batch, frames, 1)] * 4 + [(batch, 1, 1)] * 3
    uniform_key, normal_key = jax.random.split(key)
    # In one dimension: XLA takes seconds to compile draws of four.
    drawn = jnp.split(jax.random.uniform(uniform_key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    drawn = [part.reshape(shape) for part, shape in zip(drawn, shapes, strict=True)]
    by_keypoint, by_frame, by_window = drawn[:6], drawn[6:10], drawn[10:]
    noise, away = jax.random.normal(normal_key, (2 * keypoints.size,)).reshape(2, *keypoints.shape)

    one, _ = _within(by_keypoint[0], by_keypoint[1], kinds.swaps, kinds.swap_frames)
    one = one | reordered(one, permutation, axis=-1)
    both, _ = _within(by_frame[0], by_frame[1], kinds.swaps, kinds.swap_frames)
    swapped = (one | both)[..., None]
    found = jnp.where(swapped, reordered(keypoints, permutation, axis=-2), keypoints)

    low, high = kinds.noise
    found = found + (low + (high - low) * by_window[0] ** 2)[..., None] * noise

    jumping, begun = _within(by_keypoint[2], by_keypoint[3], kinds.jumps, kinds.jump_frames)
    # A keypoint that jumps stays at the same distance until it is back.
    away = kinds.jump * values_at(away, begun[..., None], 1)
    found = found + jnp.where(jumping[..., None], away, 0.0)

    missing, _ = _within(by_keypoint[4], by_keypoint[5], kinds.gaps, kinds.gap_frames)
    absent, _ = _within(by_frame[2], by_frame[3], kinds.absences, kinds.absence_frames)
    end = jnp.where(by_window[1] < kinds.short, 1 + by_window[2] * (frames - 1), frames)
    ended = jnp.arange(frames)[None, :, None] >= end
    return found, ~(missing | absent | ended)


def _within(
    begins: jax.Array, lasts: jax.Array, chance: float, longest: int
) -> tuple[jax.Array, jax.Array]:
    """Frames within a fault, bool `[B, T, K]`, and the frame in which the last one began.

    Args:
      begins: `[B, T, K]` in [0, 1); a fault begins where it is below `chance`.
      lasts: `[B, T, K]` in [0, 1), from which follows the number of frames of each.
      chance: probability of the fault.
      longest: most frames of a fault.
    """
    begun = latest(begins < chance)
    known = jnp.maximum(begun, 0)
    length = 1 + jnp.floor(longest * values_at(lasts, known, 1))
    frames = jnp.arange(begins.shape[1], dtype=jnp.int32)[None, :, None]
    return (begun >= 0) & (frames < begun + length), known
