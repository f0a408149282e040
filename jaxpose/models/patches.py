"""Patch embeddings: layers from images to the tokens of a vision transformer."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.norm import BatchNorm

kernel_init = nn.initializers.truncated_normal(0.02)


class PatchEmbedding(nn.Module):
    """Linear projection of non-overlapping patches, as one reshape and one matmul.

    ViTPose pads the image by 2 pixels, and its convolution of kernel and stride `patch` drops the
    pixels that do not fill a patch: the grid starts `padding` pixels above and left of the image,
    and the last `padding` rows and columns are not used.
    """

    dim: int
    patch: int
    padding: int
    dtype: str
    bias: bool = True

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """`[B, H, W, 3]` -> `[B, H // patch, W // patch, dim]`."""
        batch, height, width, channels = images.shape
        p, pad = self.patch, self.padding
        x = images.astype(self.dtype)
        if pad:
            x = jnp.pad(x, ((0, 0), (pad, 0), (pad, 0), (0, 0)))[:, :height, :width]
        x = x.reshape(batch, height // p, p, width // p, p, channels)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // p, width // p, p * p * channels)
        return nn.Dense(
            self.dim,
            use_bias=self.bias,
            dtype=self.dtype,
            kernel_init=kernel_init,
            name="projection",
        )(x)


class ConvStem(nn.Module):
    """3x3 stride-2 convolutions down to the patch grid (Xiao et al. 2021, arXiv:2106.14881).

    One convolution per halving, doubling the width from `dim / 8`, then a 1x1 to `dim`. Learns
    faster than one large-stride matmul when data or steps are few.
    """

    dim: int
    patch: int
    dtype: str

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """`[B, H, W, 3]` -> `[B, H // patch, W // patch, dim]`."""
        halvings = int(math.log2(self.patch))
        x = images.astype(self.dtype)
        for i in range(halvings):
            width = min(self.dim, max(8, self.dim * 2**i // 2 ** min(halvings - 1, 3)))
            x = nn.Conv(
                width,
                (3, 3),
                2,
                padding=1,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                name=f"conv_{i}",
            )(x)
            x = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{i}")(x, train))
        return nn.Dense(self.dim, dtype=self.dtype, kernel_init=kernel_init, name="projection")(x)
