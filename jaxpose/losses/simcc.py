"""Losses of SimCC vectors, (x `[B, K, Wx]`, y `[B, K, Wy]`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss, Terms, weighted_mean

Vectors = tuple[jax.Array, jax.Array]


def simcc_kl(
    outputs: Sequence[jax.Array],
    targets: Sequence[jax.Array],
    weights: jax.Array,
    *,
    beta: float = 1.0,
    label_softmax: bool = False,
    label_beta: float = 10.0,
) -> jax.Array:
    """Kullback-Leibler divergence from softmax(beta * outputs) to the labels, over both axes.

    Per axis and keypoint the divergence is the *mean* over bins (the published recipes use it, and
    their learning rates assume it); the two axes are added and the weighted sum is divided by B *
    K. MMPose divides by K only, so its value is B times this one; here the gradient does not grow
    with the batch.

    Args:
      outputs: logits, (x `[B, K, Wx]`, y `[B, K, Wy]`).
      targets: labels of the same shapes.
      weights: `[B, K]`.
      beta: temperature of the outputs.
      label_softmax: convert the labels to distributions by softmax(label_beta * labels), for labels
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
    return weighted_mean(total, weights)


@dataclass(frozen=True)
class SimCCKL(Loss):
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


@dataclass(frozen=True)
class SimCC3DKL(Loss):
    """`simcc_kl` of x and y, and `depth_factor` times that of z.

    Compares logits (x, y, z) with the `DepthTargets` of `codecs.SimCC3D`. The defaults are RTMW3D's
    (arXiv:2407.08634), with the means of `simcc_kl`; keypoints whose depth is not known add nothing
    to the term of z.
    """

    beta: float = 10.0
    label_softmax: bool = True
    label_beta: float = 10.0
    depth_factor: float = 1.0

    def with_terms(
        self, outputs: tuple[jax.Array, ...], targets: Any, weights: jax.Array
    ) -> tuple[jax.Array, Terms]:
        """The loss and its terms `plane` and `depth`."""
        x, y, z = outputs
        plane, depth = (
            simcc_kl(
                found,
                labels,
                scale,
                beta=self.beta,
                label_softmax=self.label_softmax,
                label_beta=self.label_beta,
            )
            for found, labels, scale in (
                ((x, y), (targets.x, targets.y), weights),
                # The weight of a padding sample is 0, whatever its depth.
                ((z,), (targets.z,), self.depth_factor * targets.weights_z * weights),
            )
        )
        return plane + depth, {"plane": plane, "depth": depth}
