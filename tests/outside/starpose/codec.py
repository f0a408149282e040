"""A codec: keypoints in polar coordinates about the middle of the input."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets


@dataclass(frozen=True)
class Polar:
    """Distance in half heights of the input, cosine and sine of the direction."""

    input_hw: tuple[int, int] = (32, 32)
    udp: bool = False

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        return (((num_keypoints, 3),),)

    def encode(self, sample: Sample) -> Targets:
        offset = (sample.keypoints - self._middle()) / (self.input_hw[0] / 2)
        distance = jnp.linalg.norm(offset, axis=-1, keepdims=True)
        values = jnp.concatenate([distance, offset / jnp.maximum(distance, 1e-6)], axis=-1)
        return Targets(values, sample.weights())

    def decode(self, outputs: jax.Array) -> Decoded:
        direction = outputs[..., 1:]
        length = jnp.maximum(jnp.linalg.norm(direction, axis=-1, keepdims=True), 1e-6)
        offset = outputs[..., :1] * direction / length
        keypoints = offset * (self.input_hw[0] / 2) + self._middle()
        scores = jnp.clip(length[..., 0], 0.0, 1.0)
        return Decoded(keypoints, scores, length[..., 0], jnp.ones(scores.shape, bool))

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        mirrored = jnp.take(outputs, permutation, axis=1)
        return mirrored * jnp.asarray([1.0, -1.0, 1.0])[None, None]

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return 0.5 * (a + b)

    def _middle(self) -> jax.Array:
        height, width = self.input_hw
        return jnp.asarray([(width - 1) / 2, (height - 1) / 2])[None, None]
