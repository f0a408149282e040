"""Losses of SimCC vectors, (x `[B, K, Wx]`, y `[B, K, Wy]`)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss, weighted_mean

Vectors = tuple[jax.Array, jax.Array]


def simcc_kl(
    outputs: Vectors,
    targets: Vectors,
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
