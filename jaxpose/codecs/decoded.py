"""What decoding gives back."""

from typing import NamedTuple

import jax


class Decoded(NamedTuple):
    """Keypoints read from the outputs of a network, all float32.

    Attributes:
      keypoints: `[B, K, 2]` (x, y) in pixels of the model's input.
      scores: `[B, K]` in [0, 1]; what it measures is documented by the codec.
      raw: `[B, K]` the number behind the score as the network gave it, unbounded.
    """

    keypoints: jax.Array
    scores: jax.Array
    raw: jax.Array
