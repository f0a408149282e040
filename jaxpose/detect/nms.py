"""Greedy non-maximum suppression with fixed shapes."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.geometry.lookup import values_at


class Kept(NamedTuple):
    """Boxes that are left, best first; unused places have a score of 0.

    Attributes:
      boxes_xyxy: `[B, limit, 4]`.
      scores: `[B, limit]`.
    """

    boxes_xyxy: jax.Array
    scores: jax.Array


@partial(jax.jit, static_argnames="limit")
def suppress(
    boxes_xyxy: jax.Array, scores: jax.Array, *, threshold: float, iou: float, limit: int
) -> Kept:
    """Non-maximum suppression: keeps the best box, drops its overlapping boxes, and repeats.

    At most `limit` boxes are kept per image. The number of iterations is that of the image with the
    most boxes; nothing is sorted, and no matrix of all pairs is made. Of equal scores the first box
    is kept.

    Args:
      boxes_xyxy: `[B, N, 4]` (x1, y1, x2, y2).
      scores: `[B, N]`.
      threshold: boxes of a lower score are dropped; above 0.
      iou: boxes that overlap a better one by more of their union are dropped.
      limit: largest number of boxes per image.
    """

    def one(boxes: jax.Array, scores: jax.Array) -> Kept:
        def unfinished(state) -> jax.Array:
            count, waiting, _ = state
            return (count < limit) & (waiting.max() >= threshold)

        def take_best(state):
            count, waiting, kept = state
            # Comparisons with positions, because a TPU gathers and scatters slowly.
            best = waiting.argmax()
            chosen = jnp.arange(len(waiting)) == best
            box = values_at(boxes, best[None, None], axis=0)[0]
            place = jnp.arange(limit) == count
            kept = Kept(
                jnp.where(place[:, None], box[None], kept.boxes_xyxy),
                jnp.where(place, waiting.max(), kept.scores),
            )
            waiting = jnp.where(chosen | (overlaps(box, boxes) > iou), -1.0, waiting)
            return count + 1, waiting, kept

        empty = Kept(jnp.zeros((limit, 4), boxes.dtype), jnp.zeros(limit, scores.dtype))
        return jax.lax.while_loop(unfinished, take_best, (0, scores, empty))[2]

    return jax.vmap(one)(boxes_xyxy, scores)


def overlaps(box: jax.Array, boxes: jax.Array) -> jax.Array:
    """Intersection over union of `[4]` with each of `[N, 4]` (x1, y1, x2, y2); 0 without areas."""
    low = jnp.maximum(boxes[:, :2], box[None, :2])
    high = jnp.minimum(boxes[:, 2:], box[None, 2:])
    shared = jnp.maximum(high - low, 0).prod(axis=-1)
    union = _area(boxes) + _area(box[None]) - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1), 0)


def _area(boxes: jax.Array) -> jax.Array:
    return jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=-1)
