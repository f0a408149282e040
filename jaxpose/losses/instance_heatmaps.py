"""Loss of CID: focal losses of heatmaps, and a contrast between the features of people."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.losses.loss import Loss

_LEAST = 1e-4  # of a probability, as in the published head


@dataclass(frozen=True)
class InstanceHeatmapLoss(Loss):
    """Focal losses of all people's and of each person's heatmaps, and a contrastive loss (CID).

    Compares `InstanceMaps` with what `codecs.InstanceHeatmaps` encodes.

    Attributes:
      instances: weight of each person's heatmaps.
      contrast: weight of the contrast.
      temperature: divisor of the similarities in the contrast.
    """

    instances: float = 4.0
    contrast: float = 1.0
    temperature: float = 0.05

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss, and its terms `coupled`, `instances` and `contrast`."""
        pixels, keypoints = weights
        whole = pixels[..., None]
        each = pixels[:, None, :, :, None] * keypoints[:, :, None, None]
        there = targets.score.reshape(-1) > 0
        features = outputs.features.reshape(len(there), -1)
        terms = {
            "coupled": focal_of_probabilities(outputs.coupled, targets.coupled, whole),
            "instances": self.instances
            * focal_of_probabilities(outputs.instances, targets.instances, each),
            "contrast": self.contrast * contrast(features, there, self.temperature),
        }
        return jnp.asarray(sum(terms.values())), terms


def focal_of_probabilities(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    alpha: float = 2.0,
    beta: float = 4.0,
) -> jax.Array:
    """Focal loss of probabilities, as `center_keypoints.focal` of logits (arXiv:1808.01244, eq. 1).

    The sum is divided by the sum of the weights of pixels with target 1, if there are any. Weights
    broadcast with the probabilities, which are clipped to [1e-4, 1 - 1e-4]: bfloat16 has no number
    between 0.996 and 1.
    """
    p = jnp.clip(outputs.astype(jnp.float32), _LEAST, 1 - _LEAST)
    peak = targets == 1
    cost = jnp.where(
        peak,
        (1 - p) ** alpha * jnp.log(p),
        (1 - targets) ** beta * p**alpha * jnp.log(1 - p),
    )
    count = jnp.sum(weights * peak)
    return -jnp.sum(weights * cost) / jnp.where(count > 0, count, 1.0)


def contrast(features: jax.Array, there: jax.Array, temperature: float) -> jax.Array:
    """Cross entropy by which each person is most similar to itself (InfoNCE, arXiv:1807.03748).

    Mean over people; 0 without people.

    Args:
      features: `[N, C]`, of any length.
      there: bool `[N]`, False for people who do not exist.
      temperature: divisor of the cosines.
    """
    features = features.astype(jnp.float32)
    norm = jnp.sqrt(jnp.maximum(jnp.square(features).sum(axis=-1, keepdims=True), 1e-24))
    unit = features / norm
    similar = unit @ unit.T / temperature
    similar = jnp.where(there[None], similar, -jnp.inf)
    own = jnp.square(unit).sum(axis=-1) / temperature
    safe = jnp.where(there, own, 0.0)
    total = jax.nn.logsumexp(jnp.where(there[:, None], similar, 0.0), axis=-1)
    cost = jnp.where(there, total - safe, 0.0)
    return cost.sum() / jnp.maximum(there.sum(), 1)
