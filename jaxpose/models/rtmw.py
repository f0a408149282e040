"""RTMW: the two finest levels of a detector's neck, and a head that joins tokens of both."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm
from jaxpose.models.detection import DetectionModel
from jaxpose.models.gau import GatedAttentionUnit
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.rtmcc import classify, tokens_of
from jaxpose.models.upsample import pixel_shuffle


class RTMWModel(DetectionModel):
    """Model of one person: images `[B, H, W, 3]` -> the head's logits.

    H and W are multiples of 32. Parameters are under `backbone`, `neck` and `head`; the neck
    returns two maps.
    """


class RTMWHead(nn.Module):
    """SimCC logits from tokens of two levels (RTMW, Jiang et al. 2024, arXiv:2407.08634, fig. 2).

    Half of a token is from the coarse map. For the other half the coarse map is enlarged by a pixel
    shuffle and a convolution, and joined with the fine map. RTMW3D has a third classifier, of
    depth.

    Attributes:
      num_keypoints: K.
      input_hw: height and width of the image in pixels.
      depth: length of the third axis in pixels; 0 for two axes.
      split_ratio: bins per pixel.
      hidden: length of a token.
      key_dim: `key_dim` of the attention, see `GatedAttentionUnit`.
      expansion: `expansion` of the attention.
      final_size: side of the convolutions' kernels.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    input_hw: tuple[int, int] = (256, 192)
    depth: int = 0
    split_ratio: float = 2.0
    hidden: int = 256
    key_dim: int = 128
    expansion: int = 2
    final_size: int = 7
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"[xyz]/.*")

    @nn.compact
    def __call__(
        self, maps: tuple[jax.Array, jax.Array], train: bool = False
    ) -> tuple[jax.Array, ...]:
        """Maps of stride 16 and 32 -> logits (x `[B, K, W * ratio]`, y `[B, K, H * ratio]`).

        With `depth`, z `[B, K, depth * ratio]` is the third.
        """
        fine, coarse = maps
        half = self.hidden // 2
        enlarged = self._conv(coarse.shape[-1] // 4, "enlarge")(pixel_shuffle(coarse, 2), train)
        joined = jnp.concatenate([enlarged, fine], axis=-1)
        coarse_maps = self._conv(self.num_keypoints, "coarse_maps")(coarse, train)
        fine_maps = self._conv(self.num_keypoints, "fine_maps")(joined, train)
        tokens = jnp.concatenate(
            [
                tokens_of(coarse_maps, half, self.dtype, "coarse_norm", "coarse_tokens"),
                tokens_of(fine_maps, half, self.dtype, "fine_norm", "fine_tokens"),
            ],
            axis=-1,
        )
        attention = GatedAttentionUnit(self.key_dim, self.expansion, self.dtype, name="attention")
        sides = {"x": self.input_hw[1], "y": self.input_hw[0]}
        sides |= {"z": self.depth} if self.depth else {}
        bins = {axis: round(side * self.split_ratio) for axis, side in sides.items()}
        return classify(attention(tokens), bins, self.dtype)

    def _conv(self, features: int, name: str) -> ConvNorm:
        return ConvNorm(features, self.final_size, dtype=self.dtype, name=name)
