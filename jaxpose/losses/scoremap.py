"""Loss of score maps with location refinement."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.losses.loss import Loss, Terms, difference


@dataclass(frozen=True)
class ScoremapLoss(Loss):
    """Squared error of score maps, and Huber's loss of the offsets near keypoints.

    DeepLabCut 3 (after arXiv:1605.03170, section 3.3). Compares `ScoremapOutputs` with the
    `ScoremapTargets` of `codecs.Scoremap`, or score maps alone; weights are `[B, K]`. Each term is
    a mean over the values that count.

    Attributes:
      offsets: factor of the offsets.
    """

    offsets: float = 0.05

    def with_terms(self, outputs: Any, targets: Any, weights: jax.Array) -> tuple[jax.Array, Terms]:
        """The loss, and its terms `scores` and `offsets` for a model with offsets."""
        refined = hasattr(targets, "offsets")
        maps, wanted = (outputs.scores, targets.scores) if refined else (outputs, targets)
        weight = jnp.broadcast_to(weights.astype(jnp.float32)[:, None, None], maps.shape)
        scores = _mean(difference(maps, wanted) ** 2, weight)
        if not refined:
            return scores, {}
        huber = optax.losses.huber_loss(difference(outputs.offsets, targets.offsets))
        near = targets.near * weight
        offsets = self.offsets * _mean(huber, jnp.broadcast_to(near[..., None], huber.shape))
        return scores + offsets, {"scores": scores, "offsets": offsets}


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted sum divided by the number of values whose weight is not 0."""
    return jnp.sum(weights * values) / jnp.maximum(jnp.sum(weights != 0), 1)
