"""Head of DeepLabCut's models: score maps, and offsets of keypoints from their cells."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.codecs.scoremap import ScoremapOutputs
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules


class ScoremapHead(nn.Module):
    """A 1x1 convolution to score maps and, with `refine`, another one to offsets.

    Attributes:
      num_keypoints: K.
      refine: whether there are offsets.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    refine: bool = True
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(scores|offsets)/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> ScoremapOutputs | jax.Array:
        """`[B, h, w, C]` -> `codecs.scoremap.ScoremapOutputs`, or score maps `[B, h, w, K]`."""
        scores: jax.Array = Final(self.num_keypoints, dtype=self.dtype, name="scores")(features)
        if not self.refine:
            return scores
        offsets = Final(2 * self.num_keypoints, dtype=self.dtype, name="offsets")(features)
        return ScoremapOutputs(scores, offsets.reshape(*offsets.shape[:3], self.num_keypoints, 2))
