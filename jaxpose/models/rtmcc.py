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
        tokens = tokens_of(maps, self.hidden, self.dtype, "norm", "tokens")
        attention = GatedAttentionUnit(self.key_dim, self.expansion, self.dtype, name="attention")
        height, width = self.input_hw
        bins = {"x": round(width * self.split_ratio), "y": round(height * self.split_ratio)}
        x, y = classify(attention(tokens), bins, self.dtype)
        return x, y


def tokens_of(maps: jax.Array, width: int, dtype: str, norm: str, name: str) -> jax.Array:
    """Tokens `[B, K, width]` of maps `[B, h, w, K]`: a scale norm and a linear layer, float32.

    Call it in a compact method: the layers, `norm` and `name`, become those of the module.
    """
    tokens = maps.reshape(maps.shape[0], -1, maps.shape[-1]).transpose(0, 2, 1)
    tokens = _linear(width, dtype, name)(ScaleNorm(name=norm)(tokens))
    return tokens.astype(jnp.promote_types(dtype, jnp.float32))


def classify(tokens: jax.Array, bins: dict[str, int], dtype: str) -> tuple[jax.Array, ...]:
    """Logits `[B, K, n]` float32 of each axis from tokens `[B, K, C]`; `bins` has the axes' n.

    Call it in a compact method: the layers, named by the axes, become those of the module.
    """
    wide = jnp.promote_types(dtype, jnp.float32)
    return tuple(_linear(n, dtype, axis)(tokens).astype(wide) for axis, n in bins.items())


def _linear(features: int, dtype: str, name: str) -> nn.Dense:
    init = nn.initializers.normal(0.01)
    return nn.Dense(features, use_bias=False, dtype=dtype, kernel_init=init, name=name)
