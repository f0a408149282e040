"""Losses of heatmaps `[B, h, w, K]`."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


def heatmap_mse(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over `[B, h, w, K]` of weight times squared difference.

    Args:
      outputs: maps `[B, h, w, K]`.
      targets: maps `[B, h, w, K]`.
      weights: `[B, K]`.
    """
    difference = outputs.astype(jnp.float32) - targets.astype(jnp.float32)
    return jnp.mean(weights.astype(jnp.float32)[:, None, None, :] * difference**2)


@dataclass(frozen=True)
class HeatmapMSE:
    """`heatmap_mse` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return heatmap_mse(outputs, targets, weights)
