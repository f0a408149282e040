"""Loss of OpenPose's maps and part affinity fields."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss, difference


@dataclass(frozen=True)
class PartAffinityLoss(Loss):
    """Half the squared error of maps and fields, summed over cells (arXiv:1611.08050, eq. 5).

    Compares one stage's outputs `[B, h, w, K + 1 + 2 L]` with what `codecs.PartAffinity` encodes;
    weights are `[B, h, w]`. The sum is that of an image, averaged over the batch, as in Caffe. A
    stage with only maps or only fields is compared in these (`codecs.part_affinity.StageParts`).

    Attributes:
      limbs: L, number of fields.
      maps: factor of the maps' term. The published 1 leaves a network without separate layers for
        maps with errors of the fields alone, which have more channels.
    """

    limbs: int
    maps: float = 1.0

    def with_terms(
        self, outputs: Any, targets: jax.Array, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss, and its terms `maps` and `fields`.

        Raises:
          InputError: the outputs have other channels than the targets.
        """
        split = targets.shape[-1] - 2 * self.limbs
        if isinstance(outputs, tuple):
            maps, fields = outputs
        elif outputs.shape == targets.shape:
            maps, fields = outputs[..., :split], outputs[..., split:]
        else:
            raise InputError(
                f"PartAffinityLoss compares outputs {list(outputs.shape)} with targets "
                f"{list(targets.shape)}. Give the model as many keypoints and limbs as the codec."
            )
        pairs = {"maps": (maps, targets[..., :split]), "fields": (fields, targets[..., split:])}
        factors = {"maps": self.maps, "fields": 1.0}
        terms = {
            name: factors[name]
            * 0.5
            * jnp.sum(weights[..., None] * jnp.square(difference(given, wanted)))
            / len(weights)
            for name, (given, wanted) in pairs.items()
            if given is not None
        }
        return jnp.asarray(sum(terms.values())), terms
