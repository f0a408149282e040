"""Deformable convolution: 3x3 taps whose places the input moves at each pixel."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry.lookup import values_at

GRID = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.float32)
"""Places (y, x) of a 3x3 kernel's taps, `[9, 2]`."""


class DeformableConv(nn.Module):
    """3x3 convolution with moved and weighted taps (Dai et al. 2017, arXiv:1703.06211, eq. 2).

    With weights of the taps it is the modulated form (Zhu et al. 2019, arXiv:1811.11168, eq. 1).

    Attributes:
      features: output channels.
      groups: groups of input channels, each with its own moves.
      dilation: distance between the taps before they are moved.
      bias: True adds a bias.
      dtype: compute dtype; places are float32.
    """

    features: int
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: jax.Array, moves: jax.Array, weights: jax.Array | None = None
    ) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]` float32.

        Args:
          moves: `[B, h, w, groups, 9, 2]` (y, x) pixels, added to the places of the taps.
          weights: `[B, h, w, groups, 9]`; None for 1.
        """
        batch, height, width, channels = x.shape
        groups, each = self.groups, channels // self.groups
        shape = (9, channels, self.features)
        kernel = self.param("kernel", nn.initializers.normal(0.001), shape, jnp.float32)
        row, column = (jnp.arange(n, dtype=jnp.float32) for n in (height, width))
        pixels = jnp.stack(jnp.meshgrid(row, column, indexing="ij"), axis=-1)
        taps = pixels[:, :, None] + (GRID * self.dilation)[None, None]
        place = (taps[None, :, :, None] + moves).transpose(0, 3, 1, 2, 4, 5)
        place = place.reshape(batch * groups, height * width * 9, 2)
        value = between_pixels(grouped(x.astype(self.dtype), groups), place, (height, width))
        value = value.reshape(batch, groups, height, width, 9, each).transpose(0, 2, 3, 4, 1, 5)
        if weights is not None:
            value = value * weights.swapaxes(-1, -2)[..., None].astype(value.dtype)
        total = jnp.matmul(
            value.reshape(batch, height, width, 9 * channels),
            kernel.reshape(9 * channels, self.features).astype(self.dtype),
            preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
        )
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            total += bias[None, None, None]
        return total


def grouped(x: jax.Array, groups: int) -> jax.Array:
    """Map `[B, h, w, C]` with each group of channels as a separate map, `[B G, h w, C / G]`."""
    batch, height, width, channels = x.shape
    parts = x.reshape(batch, height, width, groups, channels // groups)
    return parts.transpose(0, 3, 1, 2, 4).reshape(batch * groups, height * width, -1)


def between_pixels(values: jax.Array, place: jax.Array, hw: tuple[int, int]) -> jax.Array:
    """Values `[N, h w, C]` at places `[N, M, 2]` (y, x) between pixels, bilinear; 0 outside."""
    height, width = hw
    limit = np.array([height, width], np.float32)[None, None]
    # Places far outside are as good as just outside, and stay within int32.
    place = jnp.clip(place, -1.0, limit)
    first = jnp.floor(place)
    part = place - first
    total: jax.Array = jnp.zeros((*place.shape[:2], values.shape[-1]), values.dtype)
    for dy in (0, 1):
        for dx in (0, 1):
            y, x = first[..., 0] + dy, first[..., 1] + dx
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            weight = jnp.abs(1 - dy - part[..., 0]) * jnp.abs(1 - dx - part[..., 1])
            weight = jnp.where(inside, weight, 0.0).astype(values.dtype)
            at = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
            index = jnp.broadcast_to(at.astype(jnp.int32)[..., None], total.shape)
            total += weight[..., None] * values_at(values, index, axis=1)
    return total
