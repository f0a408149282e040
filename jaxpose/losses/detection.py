"""Distillation of a one-stage detector: every place of the maps is compared with the teacher's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss, Terms

_LEAST = 1e-6


def quality_focal(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Quality focal loss with exponent 2 (Li et al. 2020, arXiv:2006.04388, eq. 4), same shape.

    Cross entropy with soft targets in [0, 1], times the squared difference of the probabilities.
    """
    entropy = jax.nn.softplus(logits) - targets * logits
    return jnp.square(jax.nn.sigmoid(logits) - targets) * entropy


def distances_giou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Generalised IoU (arXiv:1902.09630) of boxes `[..., 4]` around the same place, `[...]`.

    A box is its distances from the place to its left, top, right and bottom; it contains the place
    or at least does not lie completely on one side of it.
    """

    def area(left_top: jax.Array, right_bottom: jax.Array) -> jax.Array:
        size = jnp.maximum(left_top + right_bottom, 0.0)
        return size[..., 0] * size[..., 1]

    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    common = area(low[..., :2], low[..., 2:])
    union = area(a[..., :2], a[..., 2:]) + area(b[..., :2], b[..., 2:]) - common
    hull = jnp.maximum(area(high[..., :2], high[..., 2:]), _LEAST)
    return common / jnp.maximum(union, _LEAST) - (hull - union) / hull


@dataclass(frozen=True)
class DetectionDistillation(Loss):
    """Loss of a `DistillationModel` of two detectors with heads like RTMDet's.

    Probabilities are compared by `quality_focal`, and boxes by their generalised IoU, weighted by
    the teacher's probability. Both are divided by the sum of the teacher's probabilities in the
    batch, which stands for the number of objects. Targets and weights are not used: the teacher is
    the only source of labels.

    Attributes:
      boxes: factor of the term of the boxes.
      least: the teacher's boxes count where its probability is at least this.
    """

    boxes: float = 2.0
    least: float = 0.05

    def with_terms(self, outputs: Any, targets: Any, weights: Any) -> tuple[jax.Array, Terms]:
        student, teacher = _flat(outputs.outputs), _flat(outputs.teacher_outputs)
        sure = jax.nn.sigmoid(teacher[1])
        count = jnp.maximum(sure.sum(), 1.0)
        classes = quality_focal(student[1], sure).sum() / count
        weight = jnp.where(sure >= self.least, sure, 0.0).max(axis=-1)
        apart = weight * (1.0 - distances_giou(student[0], teacher[0]))
        boxes = self.boxes * apart.sum() / jnp.maximum(weight.sum(), 1.0)
        return classes + boxes, {"classes": classes, "boxes": boxes}


def _flat(levels: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
    """Boxes `[N, 4]` and logits `[N, C]` of all places of all levels and images, float32."""
    boxes = [level.boxes.astype(jnp.float32).reshape(-1, 4) for level in levels]
    classes = [
        level.classes.astype(jnp.float32).reshape(-1, level.classes.shape[-1]) for level in levels
    ]
    return jnp.concatenate(boxes), jnp.concatenate(classes)
