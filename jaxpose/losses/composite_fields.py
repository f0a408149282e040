"""Loss of OpenPifPaf's composite fields."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss, Terms, length

# Smallest spread of a Laplace distribution, in cells; larger ones change little.
_LEAST_SPREAD = 0.0125


@dataclass(frozen=True)
class CompositeFieldLoss(Loss):
    """Cross entropy of confidences, and Laplace losses of vectors and scales.

    Kreiss et al. 2021, arXiv:2103.02440, section 3.4; PifPaf, arXiv:1903.06593, eq. 5: a vector's
    error d costs d / b + log(2 b), with the spread b that the network expects in that cell. A scale
    costs its relative error. Confidences have a focal factor of 1 minus the probability of the true
    value (arXiv:1708.02002). Sums are divided by the number of images.

    Attributes:
      confidence: factor of the confidences.
      vectors: factor of the vectors.
      scales: factor of the scales.
      focal: exponent of the focal factor; 0 for none.
    """

    confidence: float = 1.0
    vectors: float = 1.0
    scales: float = 1.0
    focal: float = 1.0

    def __post_init__(self) -> None:
        if min(self.confidence, self.vectors, self.scales, self.focal) < 0:
            raise InputError("The factors of CompositeFieldLoss must be at least 0.")

    def with_terms(self, outputs: Any, targets: Any, weights: Any) -> tuple[jax.Array, Terms]:
        """Compute the loss and its terms `keypoints/...` and `associations/...`.

        Args:
          outputs: `codecs.composite_fields.CompositeMaps`.
          targets: `codecs.composite_fields.CompositeTargets`; weights: `[B, h, w]`.
        """
        terms: Terms = {}
        for name in ("keypoints", "associations"):
            parts = self._of_fields(getattr(outputs, name), getattr(targets, name), weights)
            terms |= {f"{name}/{part}": value for part, value in parts.items()}
        return sum(terms.values(), jnp.zeros(())), terms

    def _of_fields(self, values: jax.Array, wanted: Any, weights: jax.Array) -> Terms:
        """Terms of fields `[B, h, w, C, 2 + 3 N]` with N vectors each."""
        values = values.astype(jnp.float32)
        images, count = len(values), wanted.vectors.shape[-2]
        counted = weights[..., None]
        logits, target = values[..., 1], wanted.confidence
        entropy = jax.nn.softplus(logits) - target * logits
        wrong = target + (1 - 2 * target) * jax.nn.sigmoid(logits)
        factor = wrong**self.focal if self.focal else 1.0
        on = (counted * target)[..., None]
        vectors = values[..., 2 : 2 + 2 * count].reshape(wanted.vectors.shape)
        spread = jax.nn.softplus(values[..., :1]) + _LEAST_SPREAD
        away = length(vectors - wanted.vectors)
        laplace = away / spread + jnp.log(2 * spread)
        known = on * (wanted.scales > 0)
        scale = jnp.where(wanted.scales > 0, wanted.scales, 1.0)
        relative = jnp.abs(jax.nn.softplus(values[..., 2 + 2 * count :]) - scale) / scale
        return {
            "confidence": self.confidence * jnp.sum(counted * factor * entropy) / images,
            "vectors": self.vectors * jnp.sum(on * laplace) / images,
            "scales": self.scales * jnp.sum(known * relative) / images,
        }
