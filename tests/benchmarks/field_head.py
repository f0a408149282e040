"""Head of part affinity fields for `memorise`.

A run finds the classes of its model in files, so it cannot be one of the program itself.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules


class FieldHead(nn.Module):
    """Maps with a background, and part affinity fields, by two branches as in OpenPose.

    Attributes:
      num_keypoints: K.
      limbs: L, number of fields.
    """

    num_keypoints: int
    limbs: int

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r".*/final/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, K + 1 + 2 L]`."""
        channels = {"maps": self.num_keypoints + 1, "fields": 2 * self.limbs}
        parts = [
            DeconvHead(number, (), conv_channels=(128, 128), name=name)(features, train)
            for name, number in channels.items()
        ]
        return jnp.concatenate(parts, axis=-1)
