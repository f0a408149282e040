"""Type of decoded keypoints."""

from typing import NamedTuple

import jax


class Decoded(NamedTuple):
    """Keypoints decoded from the outputs of a network, float32.

    The leading axes `[...]` are `[B]` for one person in each image, `[B, P]` for up to P people.

    Attributes:
      keypoints: `[..., K, 2]` (x, y) in pixels of the model's input.
      scores: `[..., K]` in [0, 1]; each codec documents their meaning.
      raw: `[..., K]`, the network's value from which the score is computed, unbounded.
      valid: bool `[..., K]`, False for keypoints that the outputs do not contain, and for all
        keypoints of a person who does not exist.
      lost: int32 `[B]`, least number of people who were found beyond the P that fit; None for
        codecs of one person, and for those that do not count.
    """

    keypoints: jax.Array
    scores: jax.Array
    raw: jax.Array
    valid: jax.Array
    lost: jax.Array | None = None
