"""Loss of maps of a body's surface: parts, and the place on the labelled part."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class SurfaceLoss(Loss):
    """Sum of three losses of `codecs.SurfaceOutputs` (DensePose, arXiv:1802.00434, section 4).

    Cross entropy of the coarse segmentation and of the charts, as means over the pixels that count;
    and the smooth L1 of U plus that of V at the labelled chart alone, as a mean over the pixels of
    the body that count. Weights are `[B, h, w]`: 0 for pixels without a label. The published code
    adds up U and V over points and has 0.01 as factor, which for some thousand points in a batch is
    about as much.

    Attributes:
      coarse, fine, uv: factors of the three.
      beta: errors of U and V below it count as squares.
    """

    coarse: float = 5.0
    fine: float = 1.0
    uv: float = 20.0
    beta: float = 1.0

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the loss, and its terms `coarse`, `fine` and `uv`."""
        weights = weights.astype(jnp.float32)
        part = targets.part
        coarse, fine = (x.astype(jnp.float32) for x in (outputs.coarse, outputs.fine))
        of_chart = jax.nn.one_hot(part, fine.shape[-1])
        entropies = (
            -(jax.nn.log_softmax(logits) * labels).sum(axis=-1)
            for logits, labels in (
                (coarse, jax.nn.one_hot(targets.coarse, coarse.shape[-1])),
                (fine, of_chart),
            )
        )
        of_coarse, of_fine = (_mean(entropy, weights) for entropy in entropies)
        places = jnp.stack(
            [(x.astype(jnp.float32) * of_chart).sum(axis=-1) for x in (outputs.u, outputs.v)],
            axis=-1,
        )
        away = jnp.abs(places - targets.uv)
        smooth = jnp.where(away < self.beta, 0.5 * away**2 / self.beta, away - 0.5 * self.beta)
        of_uv = _mean(smooth.sum(axis=-1), weights * (part > 0))
        terms = {
            "coarse": self.coarse * of_coarse,
            "fine": self.fine * of_fine,
            "uv": self.uv * of_uv,
        }
        return jnp.asarray(sum(terms.values())), terms


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    return (weights * values).sum() / jnp.maximum(weights.sum(), 1.0)
