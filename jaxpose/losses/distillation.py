"""Distillation losses: compare a student with a teacher that receives no gradient.

They are called with (student, teacher, weights) instead of (outputs, targets, weights).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.losses.heatmap import heatmap_mse
from jaxpose.losses.loss import Loss, Terms, add_up, difference, term, weighted_mean

Vectors = tuple[jax.Array, jax.Array]


def feature_distillation(student: jax.Array, teacher: jax.Array) -> jax.Array:
    """Squared difference of feature maps, summed over map and channels, mean over the batch.

    DWPose, arXiv:2307.15880, eq. 1, whose factor is 5e-5 or 7e-5.

    Args:
      student: `[B, h, w, C]`, projected to the teacher's channels where they differ.
      teacher: `[B, h, w, C]`.

    Raises:
      InputError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise InputError(
            f"the student's features {student.shape} differ in shape from the teacher's "
            f"{teacher.shape}; project them with a 1x1 convolution first."
        )
    squared = difference(student, jax.lax.stop_gradient(teacher)) ** 2
    return jnp.mean(jnp.sum(squared, axis=(1, 2, 3)))


def simcc_distillation(
    student: Vectors, teacher: Vectors, weights: jax.Array, *, temperature: float = 1.0
) -> jax.Array:
    """Divergence of the student's distributions from the teacher's, summed over both axes.

    Kullback-Leibler over softmax(logits / temperature), summed over bins, times the squared
    temperature (arXiv:1503.02531, section 2), mean over B and K. DWPose (arXiv:2307.15880, eq. 3)
    has temperature 1 and includes unlabelled keypoints: pass weights of 1 for that.

    Args:
      student: logits, (x `[B, K, Wx]`, y `[B, K, Wy]`).
      teacher: logits of the same shapes.
      weights: `[B, K]`.
      temperature: temperature of both softmaxes; 0.1 suits RTMPose.
    """
    total = jnp.zeros(weights.shape, jnp.float32)
    for ours, theirs in zip(student, teacher, strict=True):
        log_ours, log_theirs = (
            jax.nn.log_softmax(logits.astype(jnp.float32) / temperature, axis=-1)
            for logits in (ours, jax.lax.stop_gradient(theirs))
        )
        total += jnp.sum(jnp.exp(log_theirs) * (log_theirs - log_ours), axis=-1)
    return temperature**2 * weighted_mean(total, weights)


def heatmap_distillation(student: jax.Array, teacher: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean squared difference from the teacher's heatmaps `[B, h, w, K]`.

    ViTPose, arXiv:2204.12484, section 3.3.
    """
    return heatmap_mse(student, jax.lax.stop_gradient(teacher), weights)


@dataclass(frozen=True)
class FeatureDistillation(Loss):
    """`factor` times `feature_distillation`; ignores the weights of keypoints."""

    factor: float = 7e-5

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return self.factor * feature_distillation(outputs, targets)


@dataclass(frozen=True)
class SimCCDistillation(Loss):
    """`simcc_distillation` as an object for a config."""

    temperature: float = 1.0

    def __call__(self, outputs: Vectors, targets: Vectors, weights: jax.Array) -> jax.Array:
        return simcc_distillation(outputs, targets, weights, temperature=self.temperature)


@dataclass(frozen=True)
class HeatmapDistillation(Loss):
    """`heatmap_distillation` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return heatmap_distillation(outputs, targets, weights)


@dataclass(frozen=True)
class Distillation(Loss):
    """Loss of a `DistillationModel`: its own task, plus the difference from a teacher.

    Called with the `DistillOutputs` of training. The sum of `task(outputs, targets)`,
    `outputs_factor * outputs(outputs, teacher_outputs)` and, where the model returns features,
    `features(features, teacher_features)`; the teacher has the same images as input. Terms that are
    None are left out.
    """

    task: Loss | None
    outputs: Loss | None = None
    outputs_factor: float = 1.0
    features: FeatureDistillation | None = None

    def with_terms(self, outputs: Any, targets: Any, weights: jax.Array) -> tuple[jax.Array, Terms]:
        """Computes the loss, and its terms `task`, `outputs` and `features`."""
        if self.task is None and self.outputs is None and self.features is None:
            raise InputError("A distillation needs a task, outputs or features to compare.")
        parts = []
        if self.task is not None:
            parts.append(term("task", self.task, outputs.outputs, targets, weights))
        if self.outputs is not None:
            ours, theirs = outputs.outputs, outputs.teacher_outputs
            parts.append(term("outputs", self.outputs, ours, theirs, weights, self.outputs_factor))
        if self.features is not None:
            if outputs.features is None:
                raise InputError("This loss compares features: set features=True on the model.")
            mine, known = outputs.features, outputs.teacher_features
            parts.append(term("features", self.features, mine, known, weights))
        return add_up(parts)
