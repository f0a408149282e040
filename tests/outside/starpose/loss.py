"""A loss of two named terms."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class PolarLoss(Loss):
    """Squared errors of the distance, and `direction` times those of the direction."""

    direction: float = 0.5

    def with_terms(
        self, outputs: Any, targets: Any, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        squared = weights[..., None] * (outputs - targets) ** 2
        terms = {
            "distance": jnp.mean(squared[..., 0]),
            "direction": self.direction * jnp.mean(squared[..., 1:]),
        }
        return terms["distance"] + terms["direction"], terms
