"""Head of PoseWarper: heatmaps of neighbouring frames, warped to the current one."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.deformable_conv import DeformableConv
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock


class PoseWarperHead(nn.Module):
    """Temporal aggregation by deformable convolutions (Bertasius et al. 2019, arXiv:1906.04016).

    The difference of the heatmaps of the current frame and of another one moves the taps of five
    dilated convolutions over the other one's heatmaps. The results of all frames, the current one
    too, are added with fixed weights.

    Attributes:
      num_keypoints: K.
      frame_weights: weights of the frames, in their order.
      times: of the frames; the current one comes first.
      width: channels of the residual blocks.
      blocks: number of residual blocks.
      dilations: of the convolutions.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    frame_weights: tuple[float, ...] = (0.3, 0.1, 0.25, 0.25, 0.1)
    times: tuple[float, ...] = (0.0, -2.0, -1.0, 1.0, 2.0)
    width: int = 128
    blocks: int = 20
    dilations: tuple[int, ...] = (3, 6, 12, 18, 24)
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(final|warp_\d+)/.*")

    @nn.compact
    def __call__(self, features: jax.Array, times: jax.Array, train: bool = False) -> jax.Array:
        """Features `[B, F, h, w, C]` -> heatmaps `[B, h, w, K]`; the times have no effect."""
        del times
        batch, frames, height, width, _ = features.shape
        count = self.num_keypoints
        flat = features.reshape(batch * frames, height, width, -1)
        maps = Final(count, dtype=self.dtype, name="final")(flat)
        own = maps.reshape(batch, frames, height, width, count)
        x = (own[:, :1] - own).reshape(maps.shape)
        for i in range(self.blocks):
            x = ResidualBlock(self.width, False, self.dtype, name=f"block_{i}")(x, train)
        total = jnp.zeros_like(maps)
        for i, dilation in enumerate(self.dilations):
            moves = nn.Conv(
                18 * count,
                (3, 3),
                kernel_dilation=dilation,
                padding=dilation,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.001),
                name=f"moves_{i}",
            )(x)
            warp = DeformableConv(count, count, dilation, dtype=self.dtype, name=f"warp_{i}")
            moves = moves.astype(jnp.float32).reshape(*maps.shape[:3], count, 9, 2)
            total += warp(maps, moves)
        weights = jnp.asarray(self.frame_weights, jnp.float32)
        warped = total.reshape(own.shape) / len(self.dilations)
        return jnp.einsum("bfhwk,f->bhwk", warped, weights)
