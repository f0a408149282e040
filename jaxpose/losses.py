"""Losses: float32 scalars of (outputs, targets, weights), whatever type the outputs have.

Weights are `[B, K]` per keypoint, as codecs make them; keypoints that are not labelled and samples
that only pad the batch have weight 0 and add nothing. Means are taken over all keypoints of all
samples, weight 0 included, as in MMPose: so a sample with few labelled keypoints weighs less.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

Vectors = tuple[jax.Array, jax.Array]


def heatmap_mse(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over `[B, h, w, K]` of weight times squared difference.

    Args:
      outputs: maps `[B, h, w, K]`.
      targets: maps `[B, h, w, K]`.
      weights: `[B, K]`.
    """
    difference = outputs.astype(jnp.float32) - targets.astype(jnp.float32)
    return jnp.mean(weights.astype(jnp.float32)[:, None, None, :] * difference**2)


def simcc_kl(
    outputs: Vectors,
    targets: Vectors,
    weights: jax.Array,
    *,
    beta: float = 1.0,
    label_softmax: bool = False,
    label_beta: float = 10.0,
) -> jax.Array:
    """Kullback-Leibler divergence from softmax(beta * outputs) to the labels, of both axes.

    Per axis and keypoint the divergence is the *mean* over bins (the published recipes do so and
    their learning rates assume it); the two axes are added and the weighted sum is divided by
    B * K. MMPose divides by K only, so its value is B times this one; here the gradient does not
    grow with the batch.

    Args:
      outputs: logits, (x `[B, K, Wx]`, y `[B, K, Wy]`).
      targets: labels of the same shapes.
      weights: `[B, K]`.
      beta: temperature of the outputs.
      label_softmax: make distributions of the labels by softmax(label_beta * labels), for labels
        that are not normalised (RTMPose, arXiv:2303.07399).
      label_beta: see `label_softmax`.
    """
    total = jnp.zeros(weights.shape, jnp.float32)
    for output, target in zip(outputs, targets, strict=True):
        log_probability = jax.nn.log_softmax(beta * output.astype(jnp.float32), axis=-1)
        label = target.astype(jnp.float32)
        if label_softmax:
            log_label = jax.nn.log_softmax(label_beta * label, axis=-1)
            label = jnp.exp(log_label)
        else:
            log_label = jnp.log(jnp.where(label > 0, label, 1.0))
        total += jnp.mean(label * (log_label - log_probability), axis=-1)
    return jnp.mean(weights.astype(jnp.float32) * total)


@dataclass(frozen=True)
class HeatmapMSE:
    """`heatmap_mse` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return heatmap_mse(outputs, targets, weights)


@dataclass(frozen=True)
class SimCCKL:
    """`simcc_kl` as an object for a config; RTMPose's is `SimCCKL(beta=10, label_softmax=True)`."""

    beta: float = 1.0
    label_softmax: bool = False
    label_beta: float = 10.0

    def __call__(self, outputs: Vectors, targets: Vectors, weights: jax.Array) -> jax.Array:
        return simcc_kl(
            outputs,
            targets,
            weights,
            beta=self.beta,
            label_softmax=self.label_softmax,
            label_beta=self.label_beta,
        )
