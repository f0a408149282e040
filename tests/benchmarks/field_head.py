"""Head of part affinity fields for `memorise`.

A run finds the classes of its model in files, so it cannot be one of the program itself.
"""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules


class FieldHead(nn.Module):
    """Maps, a background and part affinity fields by one 1x1 convolution each.

    Attributes:
      num_keypoints: K.
      limbs: L, number of fields.
    """

    num_keypoints: int
    limbs: int

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"all/final/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, K + 1 + 2 L]`."""
        channels = self.num_keypoints + 1 + 2 * self.limbs
        return DeconvHead(channels, (), conv_channels=(128,), name="all")(features, train)
