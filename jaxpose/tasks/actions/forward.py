"""Forward pass of a classifier of actions, with an optional flip test."""

from typing import Any

import jax
import numpy as np


def class_scores(
    variables: Any,
    framed: jax.Array,
    scores: jax.Array,
    *,
    model: Any,
    codec: Any,
    permutation: np.ndarray | None = None,
) -> jax.Array:
    """Probabilities of classes `[B, C]` float32.

    Args:
      variables: those of the model.
      framed: coordinates `[B, T, P, K, D]` in the codec's frame.
      scores: `[B, T, P, K]`.
      model: static; the model.
      codec: static; its codec.
      permutation: static; `[K]`, the exchange of left and right keypoints, to average the
        probabilities of each clip and of its mirror image; None for no flip test.
    """
    logits = model.apply(variables, codec.encode(framed, scores), train=False)
    found = jax.nn.softmax(logits, axis=-1)
    if permutation is None:
        return found
    mirrored = codec.encode(*codec.mirrored(framed, scores, permutation))
    return 0.5 * (found + jax.nn.softmax(model.apply(variables, mirrored, train=False), axis=-1))
