"""Head of RTMPose: a large convolution, attention between keypoints, SimCC classifiers."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.gau import GatedAttentionUnit, ScaleNorm
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules


class RTMCCHead(nn.Module):
    """SimCC logits from keypoint tokens (RTMPose, Jiang et al. 2023, arXiv:2303.07399, fig. 4).

    A 7x7 convolution makes one map per keypoint. A linear layer makes a token of `hidden` values
    from each flattened map. Attention between the tokens and two classifiers, shared by all
    keypoints, follow.

    Attributes:
      num_keypoints: K.
      input_hw: height and width of the image in pixels.
      split_ratio: bins per pixel.
      hidden: length of a token.
      key_dim: `key_dim` of the attention, see `GatedAttentionUnit`.
      expansion: `expansion` of the attention.
      final_size: side of the first convolution's kernel.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    input_hw: tuple[int, int] = (256, 192)
    split_ratio: float = 2.0
    hidden: int = 256
    key_dim: int = 128
    expansion: int = 2
    final_size: int = 7
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"[xy]/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, h, w, C]` -> logits (x `[B, K, W * ratio]`, y `[B, K, H * ratio]`)."""
        maps = Final(self.num_keypoints, self.final_size, dtype=self.dtype, name="maps")(features)
        tokens = maps.reshape(maps.shape[0], -1, self.num_keypoints).transpose(0, 2, 1)
        tokens = self._linear(self.hidden, "tokens")(ScaleNorm(name="norm")(tokens))
        attention = GatedAttentionUnit(self.key_dim, self.expansion, self.dtype, name="attention")
        tokens = attention(tokens.astype(jnp.promote_types(self.dtype, jnp.float32)))
        height, width = self.input_hw
        x, y = (
            self._linear(round(pixels * self.split_ratio), name)(tokens)
            for name, pixels in (("x", width), ("y", height))
        )
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return x.astype(wide), y.astype(wide)

    def _linear(self, features: int, name: str) -> nn.Dense:
        init = nn.initializers.normal(0.01)
        return nn.Dense(features, use_bias=False, dtype=self.dtype, kernel_init=init, name=name)
