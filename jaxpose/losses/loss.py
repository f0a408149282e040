"""What all losses share."""

from typing import Any

import jax
import jax.numpy as jnp


class Loss:
    """A frozen dataclass that is called with (outputs, targets, weights `[B, K]`).

    Answers a float32 scalar. The outputs are what a model gives with `train=True`, the targets and
    weights what its codec encodes.
    """

    def __call__(self, outputs: Any, targets: Any, weights: jax.Array) -> jax.Array:
        raise TypeError(f"{type(self).__name__} is no loss: it does not define __call__.")


def weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over B and K of `weights` times `values`, both `[B, K]`: a float32 scalar."""
    return jnp.mean(weights.astype(jnp.float32) * values)


def difference(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """`outputs - targets`, float32 whatever their types."""
    return outputs.astype(jnp.float32) - targets.astype(jnp.float32)


def length(vectors: jax.Array) -> jax.Array:
    """Euclidean norms over the last axis, whose gradient at 0 is 0."""
    squared = jnp.sum(vectors**2, axis=-1)
    safe = jnp.where(squared > 0, squared, 1.0)
    return jnp.where(squared > 0, jnp.sqrt(safe), 0.0)
