"""Greedy non-maximum suppression with fixed shapes."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.geometry.lookup import values_at
from jaxpose.geometry.suppression import best_boxes


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
    """Non-maximum suppression of boxes `[B, N, 4]` with scores `[B, N]`; see `best_boxes`."""
    places, kept = best_boxes(boxes_xyxy, scores, threshold=threshold, iou=iou, limit=limit)
    boxes = values_at(boxes_xyxy, places[..., None], axis=1)
    return Kept(jnp.where(kept[..., None] > 0, boxes, 0.0), kept)
