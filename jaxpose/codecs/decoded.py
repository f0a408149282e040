"""Keypoints read from a network's outputs."""

from typing import NamedTuple

import jax


class Decoded(NamedTuple):
    """Keypoints read from the outputs of a network, float32.

    The leading axes `[...]` are `[B]` for one person in each image, `[B, P]` for up to P people.

    Attributes:
      keypoints: `[..., K, 2]` (x, y) in pixels of the model's input.
      scores: `[..., K]` in [0, 1]; what it measures is documented by the codec.
      raw: `[..., K]` the number behind the score as the network gave it, unbounded.
      valid: bool `[..., K]`, False where the outputs hold no such keypoint; of a person who is not
        there, False for all.
    """

    keypoints: jax.Array
    scores: jax.Array
    raw: jax.Array
    valid: jax.Array
