"""Heads of associative embedding on HRNet: heatmaps, and a tag of each keypoint's person."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.models.heads import Final
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.upsample import Deconv


class HigherHRNetHead(nn.Module):
    """Heatmaps, tags, and heatmaps of twice the resolution (Cheng et al. 2020, arXiv:1908.10357).

    Without the second resolution it is the head of associative embedding (Newell et al. 2017,
    arXiv:1611.05424) on HRNet.

    Attributes:
      num_keypoints: K.
      higher: adds the heatmaps of twice the resolution, from a deconvolution of the features and
        the first outputs (section 3.3).
      blocks: residual blocks after the deconvolution.
      channels: channels of the deconvolution.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    higher: bool = True
    blocks: int = 4
    channels: int = 32
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"final_\d/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> TagMaps:
        """`[B, h, w, C]` -> heatmaps and tags `[B, h, w, K]`, fine `[B, 2 h, 2 w, K]` or None."""
        count = self.num_keypoints
        both = Final(2 * count, dtype=self.dtype, name="final_0")(features)
        fine = None
        if self.higher:
            x = jnp.concatenate([features, both.astype(features.dtype)], axis=-1)
            x = Deconv(self.channels, self.dtype, name="deconv")(x)
            x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train))
            for k in range(self.blocks):
                x = ResidualBlock(self.channels, False, self.dtype, name=f"block_{k}")(x, train)
            fine = Final(count, dtype=self.dtype, name="final_1")(x)
        return TagMaps(both[..., :count], both[..., count:], fine)
