"""Greedy non-maximum suppression of boxes with fixed shapes."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.geometry.lookup import values_at


def best_boxes(
    boxes_xyxy: jax.Array, scores: jax.Array, *, threshold: float, iou: float, limit: int
) -> tuple[jax.Array, jax.Array]:
    """Places of the boxes that are left: keeps the best, drops its overlapping boxes, repeats.

    The number of iterations is that of the image with the most boxes; nothing is sorted, and no
    matrix of all pairs is made. Of equal scores the first box is kept.

    Args:
      boxes_xyxy: `[B, N, 4]` (x1, y1, x2, y2).
      scores: `[B, N]`.
      threshold: boxes of a lower score are dropped; above 0.
      iou: boxes that overlap a better one by more of their union are dropped.
      limit: static; largest number of boxes per image.

    Returns:
      int32 places `[B, limit]` in 0 to N - 1, best first, and float scores `[B, limit]`; unused
      places are 0 and have a score of 0.
    """

    def one(boxes: jax.Array, scores: jax.Array) -> tuple[jax.Array, jax.Array]:
        def unfinished(state: Any) -> jax.Array:
            count, waiting, _, _ = state
            return (count < limit) & (waiting.max() >= threshold)

        def take_best(state: Any) -> Any:
            count, waiting, places, kept = state
            # Comparisons with positions, because a TPU gathers and scatters slowly.
            best = waiting.argmax().astype(jnp.int32)
            chosen = jnp.arange(len(waiting)) == best
            box = values_at(boxes, best[None, None], axis=0)[0]
            place = jnp.arange(limit) == count
            places = jnp.where(place, best, places)
            kept = jnp.where(place, waiting.max(), kept)
            waiting = jnp.where(chosen | (overlaps(box, boxes) > iou), -1.0, waiting)
            return count + 1, waiting, places, kept

        start = (0, scores, jnp.zeros(limit, jnp.int32), jnp.zeros(limit, scores.dtype))
        _, _, places, kept = jax.lax.while_loop(unfinished, take_best, start)
        return places, kept

    places, kept = jax.vmap(one)(boxes_xyxy, scores)
    return places, kept


def overlaps(box: jax.Array, boxes: jax.Array) -> jax.Array:
    """Intersection over union of `[4]` with each of `[N, 4]` (x1, y1, x2, y2); 0 without areas."""
    low = jnp.maximum(boxes[:, :2], box[None, :2])
    high = jnp.minimum(boxes[:, 2:], box[None, 2:])
    shared = jnp.maximum(high - low, 0).prod(axis=-1)
    union = _area(boxes) + _area(box[None]) - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1), 0)


def _area(boxes: jax.Array) -> jax.Array:
    return jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=-1)
