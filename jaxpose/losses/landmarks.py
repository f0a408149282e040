"""Loss of the landmarks of BlazePose, of hands and of the face mesh."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.losses.coordinates import l1
from jaxpose.losses.loss import Loss, weighted_mean


@dataclass(frozen=True)
class LandmarkLoss(Loss):
    """Absolute error of the coordinates and, for bodies, cross-entropy of the visibility.

    Compares `LandmarkOutputs` with the targets of `codecs.Landmarks`; weights are `[B, K]`. Other
    outputs (depth, metres, heatmaps, segmentation) have no labels in images and get no gradient.

    Attributes:
      side: side of the input in pixels, to which errors are relative.
      visibility: weight of the visibility.
    """

    side: int = 256
    visibility: float = 0.01

    def with_terms(
        self, outputs: Any, targets: Any, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss, and its terms `points` and, for bodies, `visibility`."""
        found = outputs.landmarks[:, : targets.points.shape[1]].astype(jnp.float32)
        terms = {"points": l1(found[..., :2] / self.side, targets.points / self.side, weights)}
        if found.shape[-1] == 5:
            entropy = optax.losses.sigmoid_binary_cross_entropy(found[..., 3], targets.visible)
            terms["visibility"] = self.visibility * weighted_mean(entropy, weights)
        return jnp.asarray(sum(terms.values())), terms
