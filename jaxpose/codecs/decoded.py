"""Type of decoded keypoints."""

from typing import NamedTuple

import jax


class Hands(NamedTuple):
    """Facts about the two hands of one person, float32.

    Attributes:
      present: `[B, 2]` probabilities that the right hand and that the left hand are there.
      left_from_right: `[B]` depth of the left wrist from the right one in millimetres, positive if
        the left one is further from the camera.
    """

    present: jax.Array
    left_from_right: jax.Array


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
      depth: `[..., K]` distance along the camera's axis from the codec's root, in millimetres,
        positive away from the camera; None for codecs of two dimensions.
      hands: facts about two hands; None for codecs of others.
      covariance: `[..., K, 2, 2]` of the keypoints in square pixels of the input; None for codecs
        that do not estimate it.
    """

    keypoints: jax.Array
    scores: jax.Array
    raw: jax.Array
    valid: jax.Array
    lost: jax.Array | None = None
    depth: jax.Array | None = None
    hands: Hands | None = None
    covariance: jax.Array | None = None
