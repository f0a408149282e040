"""Loss of maps of a body's surface: parts, and the place on the labelled part."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.geometry.resampling import sampled
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
        return self._sum(
            _mean(_entropy(outputs.coarse, targets.coarse), weights),
            _mean(_entropy(outputs.fine, targets.part), weights),
            _mean(self._away(outputs, targets), weights * (targets.part > 0)),
        )

    def _away(self, outputs: Any, targets: Any) -> jax.Array:
        """Smooth L1 of U plus that of V at the labelled charts `[B, ...]`."""
        of_chart = jax.nn.one_hot(targets.part, outputs.u.shape[-1])
        places = jnp.stack(
            [(x.astype(jnp.float32) * of_chart).sum(axis=-1) for x in (outputs.u, outputs.v)],
            axis=-1,
        )
        away = jnp.abs(places - targets.uv)
        smooth = jnp.where(away < self.beta, 0.5 * away**2 / self.beta, away - 0.5 * self.beta)
        return smooth.sum(axis=-1)

    def _sum(
        self, coarse: jax.Array, fine: jax.Array, uv: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        terms = {"coarse": self.coarse * coarse, "fine": self.fine * fine, "uv": self.uv * uv}
        return jnp.asarray(sum(terms.values())), terms


@dataclass(frozen=True)
class SurfacePointLoss(SurfaceLoss):
    """`SurfaceLoss` for people with labelled points (`codecs.densepose.PointTargets`).

    The charts, U and V of the maps are interpolated at the points, whose means are taken, as in the
    published code; the coarse segmentation counts at all pixels. Weights are `[B, h, w]`, those of
    the coarse segmentation: 0 for people without a mask. What is no point has part 0.
    """

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the loss, and its terms `coarse`, `fine` and `uv`."""
        at = outputs_at(outputs, targets.place)
        labelled = (targets.part > 0).astype(jnp.float32)
        return self._sum(
            _mean(_entropy(outputs.coarse, targets.coarse), weights.astype(jnp.float32)),
            _mean(_entropy(at.fine, targets.part), labelled),
            _mean(self._away(at, targets), labelled),
        )


def outputs_at(outputs: Any, place: jax.Array) -> Any:
    """Outputs at places of their maps: `codecs.densepose.SurfaceOutputs` of `[B, N, channels]`.

    Args:
      outputs: `[B, h, w, channels]` each.
      place: `[B, N, 2]` x and y in pixels of the maps; those outside count as the nearest edge.
    """
    return type(outputs)(*(sampled(maps.astype(jnp.float32), place) for maps in outputs))


def _entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy `[...]` of float logits `[..., C]` and labels `[...]`."""
    sure = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -(sure * jax.nn.one_hot(labels, logits.shape[-1])).sum(axis=-1)


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    return (weights * values).sum() / jnp.maximum(weights.sum(), 1.0)
