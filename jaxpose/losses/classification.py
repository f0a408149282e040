"""Loss of classifiers: cross entropy with smoothed labels."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import values_at
from jaxpose.losses.loss import Loss


def cross_entropy(
    logits: jax.Array, labels: jax.Array, weights: Any, smoothing: float = 0.0
) -> jax.Array:
    """Mean cross entropy, a float32 scalar (label smoothing: arXiv:1512.00567, section 7).

    Args:
      logits: `[B, C]`.
      labels: class numbers `[B]`.
      weights: `[B]`; samples of weight 0 add nothing, but count in the mean.
      smoothing: part of the label that is spread evenly over all classes.
    """
    log_probability = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    labelled = values_at(log_probability, labels[:, None], 1)[:, 0]
    likely = (1 - smoothing) * labelled + smoothing * log_probability.mean(axis=-1)
    return -jnp.mean(jnp.asarray(weights, jnp.float32) * likely)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross entropy of classes; see `cross_entropy`.

    Attributes:
      smoothing: part of the label that is spread evenly over all classes, at least 0, below 1.
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise InputError(f"loss.smoothing must be in [0, 1), and is {self.smoothing}.")

    def __call__(self, outputs: Any, targets: Any, weights: Any) -> jax.Array:
        return cross_entropy(outputs, targets, weights, self.smoothing)
