"""Loss of two hands in 3D: volumes, the depth between the wrists, and which hands are there."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.losses.loss import Loss, Terms, add_up, difference


@dataclass(frozen=True)
class HandVolumeLoss(Loss):
    """Squared error of volumes, absolute error of the wrists' depth, cross-entropy of the hands.

    InterNet (Moon et al., InterHand2.6M, ECCV 2020, section 4). Compares `HandOutputs` with the
    `HandTargets` of `codecs.HandVolumes`; weights are `[B, K]`. A sample without a labelled joint
    adds nothing.

    Attributes:
      volumes: factor of the mean over voxels, joints and samples.
      root: factor of the mean over samples, in bins.
      hands: factor of the mean over samples and hands.
    """

    volumes: float = 1.0
    root: float = 1.0
    hands: float = 1.0

    def with_terms(self, outputs: Any, targets: Any, weights: jax.Array) -> tuple[jax.Array, Terms]:
        """The loss and its terms `volumes`, `root` and `hands`."""
        squared = difference(outputs.heatmaps, targets.heatmaps) ** 2
        weighted = weights.astype(jnp.float32)[:, None, None, :, None] * squared
        away = jnp.abs(difference(outputs.root_depth, targets.root_depth))
        logits = outputs.hands.astype(jnp.float32)
        entropy = optax.losses.sigmoid_binary_cross_entropy(logits, targets.hands)
        labelled = targets.hands.max(axis=1, keepdims=True)
        means = {
            "volumes": self.volumes * jnp.mean(weighted),
            "root": self.root * jnp.mean(targets.weights_root * away),
            "hands": self.hands * jnp.mean(labelled * entropy),
        }
        return add_up([(value, {name: value}) for name, value in means.items()])
