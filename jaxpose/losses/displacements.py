"""Loss of DEKR: squared error of heatmaps, smooth absolute error of displacements."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss, difference

Pair = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class DisplacementLoss(Loss):
    """Weighted errors of heatmaps and displacements (DEKR, arXiv:2104.02300, eq. 5-7).

    Compares what `codecs.Displacements` encodes, with weights of the same shapes.

    Attributes:
      displacement: weight of the displacements.
      beta: error in heatmap pixels up to which a displacement's cost is quadratic.
    """

    displacement: float = 2e-3
    beta: float = 1 / 9

    def with_terms(
        self, outputs: Pair, targets: Pair, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss, and its terms `heatmaps` and `displacements`."""
        heatmaps = jnp.mean(weights[0] * jnp.square(difference(outputs[0], targets[0])))
        vectors = weighted_smooth_l1(outputs[1], targets[1], weights[1], self.beta)
        terms = {"heatmaps": heatmaps, "displacements": self.displacement * vectors}
        return jnp.asarray(sum(terms.values())), terms


def weighted_smooth_l1(
    outputs: jax.Array, targets: jax.Array, weights: jax.Array, beta: float
) -> jax.Array:
    """Smooth absolute error: the weighted sum, divided by the number of positive weights.

    All arrays have one shape.
    """
    away = jnp.abs(difference(outputs, targets))
    cost = jnp.where(away < beta, away**2 / (2 * beta), away - beta / 2)
    return jnp.sum(weights * cost) / jnp.maximum(jnp.sum(weights > 0), 1)
