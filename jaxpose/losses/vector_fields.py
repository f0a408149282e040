"""Loss of vector fields: cross entropy of the mask, and smooth L1 of the vectors in it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class VectorFieldLoss(Loss):
    """Sum of two losses of `codecs.VectorFields` (PVNet, arXiv:1812.11788, section 3.3).

    The cross entropy is a mean over all pixels, the smooth L1 (with a bound of 1) a mean over the
    pixels and keypoints that are labelled, with x and y added up. Samples whose keypoints all have
    weight 0 count in neither.

    Attributes:
      mask, vectors: factors of the two.
    """

    mask: float = 1.0
    vectors: float = 1.0

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the loss, and its terms `mask` and `vectors`."""
        weights = weights.astype(jnp.float32)
        real = (weights.max(axis=-1) > 0).astype(jnp.float32)
        logits = jax.nn.log_softmax(outputs.mask.astype(jnp.float32))
        entropy = -(targets.mask * logits).sum(axis=-1).mean(axis=(1, 2))
        inside = targets.mask[..., 1]
        batch, height, width, _ = targets.vectors.shape
        away = outputs.vectors.astype(jnp.float32) - targets.vectors
        size = jnp.abs(away)
        smooth = jnp.where(size < 1, 0.5 * away * away, size - 0.5)
        smooth = smooth.reshape(batch, height, width, -1, 2).sum(axis=-1)
        counted = inside[..., None] * weights[:, None, None]
        terms = {
            "mask": self.mask * (real * entropy).sum() / jnp.maximum(real.sum(), 1.0),
            "vectors": self.vectors * (counted * smooth).sum() / jnp.maximum(counted.sum(), 1.0),
        }
        return jnp.asarray(sum(terms.values())), terms
