"""Loss of centres and offsets, for many people in one image."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss, difference

Pair = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class CenterOffsetLoss(Loss):
    """Squared error of heatmaps and absolute error of offsets (DEKR, arXiv:2104.02300, eq. 5-7).

    Compares (heatmaps `[B, h, w, K + 1]`, offsets `[B, h, w, 2 K]`); the weights are pixels
    `[B, h, w]` and offsets `[B, h, w, K]`, as `codecs.CenterOffsets` makes them.

    Attributes:
      background: weight of pixels where the target heatmap is 0.
      offset: weight of the offsets, whose error is in units of the person's extent.
    """

    background: float = 0.1
    offset: float = 0.02

    def with_terms(
        self, outputs: Pair, targets: Pair, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss, and its terms `heatmaps` and `offsets`."""
        heatmaps = self.heatmap_term(outputs, targets, weights)
        offsets = self.offset * self.offset_term(outputs, targets, weights)
        return heatmaps + offsets, {"heatmaps": heatmaps, "offsets": offsets}

    def heatmap_term(self, outputs: Pair, targets: Pair, weights: Pair) -> jax.Array:
        """Mean over samples, pixels and maps: a float32 scalar."""
        balance = jnp.where(targets[0] > 0, 1.0, self.background)
        error = difference(outputs[0], targets[0]) ** 2
        return jnp.mean(weights[0][..., None] * balance * error)

    def offset_term(self, outputs: Pair, targets: Pair, weights: Pair) -> jax.Array:
        """Mean over the weighted offsets of each sample, then over samples: a float32 scalar."""
        return mean_error(outputs[1], targets[1], weights[1])


def mean_error(vectors: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted absolute error of vectors `[B, h, w, 2 K]`, (x, y) or (y, x) of each in turn.

    Mean over the vectors of each sample that have a weight, then over samples; `weights` are `[B,
    h, w, K]`.
    """
    error = jnp.abs(difference(vectors, targets)).reshape(*weights.shape, 2).sum(axis=-1)
    total = jnp.sum(weights * error, axis=(1, 2, 3))
    return jnp.mean(total / jnp.maximum(jnp.sum(weights > 0, axis=(1, 2, 3)), 1))
