"""Losses of MoveNet's fields, and the focal loss of maps of probabilities."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.center_offsets import mean_error
from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class CenterKeypointLoss(Loss):
    """Focal loss of probabilities and absolute error of vectors (CenterNet, arXiv:1904.07850).

    Compares the fields (center, heatmaps, regression, offsets) that `codecs.CenterKeypoints`
    encodes; weights are `[B, K]`. Vectors count in the one cell whose target probability is 1
    (section 4.2: of the centre for the regression, of each keypoint for the offsets), in cells.

    Attributes:
      center: weight of the centre's map.
      regression: weight of the regression.
      offset: weight of the offsets.
    """

    center: float = 1.0
    regression: float = 0.1
    offset: float = 1.0

    def with_terms(
        self, outputs: Any, targets: Any, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss, and its terms `center`, `heatmaps`, `regression` and `offsets`."""
        weight = weights[:, None, None]
        person = weight.max(axis=-1, keepdims=True)
        at_center = person * (targets.center == 1)
        at_keypoint = weight * (targets.heatmaps == 1)
        terms = {
            "center": self.center * focal(outputs.center, targets.center, person),
            "heatmaps": focal(outputs.heatmaps, targets.heatmaps, weight),
            "regression": self.regression
            * mean_error(outputs.regression, targets.regression, at_center * weight),
            "offsets": self.offset * mean_error(outputs.offsets, targets.offsets, at_keypoint),
        }
        return jnp.asarray(sum(terms.values())), terms


@dataclass(frozen=True)
class CenterPeopleLoss(Loss):
    """Focal loss of probabilities and absolute error of vectors and boxes, for many people.

    As `CenterKeypointLoss` for the fields, and the fields of weights, that `codecs.CenterPeople`
    encodes. All vectors and boxes are in cells.

    Attributes:
      center: weight of the centres' map.
      regression: weight of the regression.
      offset: weight of the offsets.
      box: weight of the boxes' offsets and sizes.
    """

    center: float = 1.0
    regression: float = 0.1
    offset: float = 1.0
    box: float = 0.1

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss, and its terms: those of `CenterKeypointLoss`, and `boxes`."""

        def error(name: str) -> jax.Array:
            return mean_error(*(getattr(fields, name) for fields in (outputs, targets, weights)))

        terms = {
            "center": self.center * focal(outputs.center, targets.center, weights.center),
            "heatmaps": focal(outputs.heatmaps, targets.heatmaps, weights.heatmaps),
            "regression": self.regression * error("regression"),
            "offsets": self.offset * error("offsets"),
            "boxes": self.box * (error("box_offsets") + error("box_sizes")),
        }
        return jnp.asarray(sum(terms.values())), terms


def focal(
    logits: jax.Array, targets: jax.Array, weights: jax.Array, alpha: float = 2.0, beta: float = 4.0
) -> jax.Array:
    """Focal loss of logits against Gaussians (CornerNet, arXiv:1808.01244, eq. 1).

    Pixels of target t and probability p cost -(1 - p)^alpha log p where t is 1, elsewhere
    -(1 - t)^beta p^alpha log(1 - p). The sum is divided by the number of pixels with t = 1.

    Args:
      logits, targets: `[B, h, w, C]`.
      weights: broadcasts with them.
    """
    logits = logits.astype(jnp.float32)
    p = jax.nn.sigmoid(logits)
    peak = targets == 1
    cost = jnp.where(
        peak,
        (1 - p) ** alpha * jax.nn.log_sigmoid(logits),
        (1 - targets) ** beta * p**alpha * jax.nn.log_sigmoid(-logits),
    )
    return -jnp.sum(weights * cost) / jnp.maximum(jnp.sum(weights * peak), 1)
