"""Hybrid backbone: convolutions, then attention between all pixels of their map."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.parameter_rules import ParameterRules


class EncoderLayer(nn.Module):
    """Post-norm transformer layer with positions added to queries and keys only.

    The encoder layer of DETR (Carion et al. 2020, arXiv:2005.12872, appendix A.3), without dropout.
    """

    heads: int
    mlp_hidden: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, position: jax.Array) -> tuple[jax.Array, None]:
        """`[B, N, D]` and positions `[N, D]` -> (`[B, N, D]`, None), as `nn.scan` requires."""
        dim = x.shape[-1]

        def norm(name: str) -> nn.Module:
            return nn.LayerNorm(1e-5, dtype=self.dtype, name=name)

        def dense(features: int, name: str) -> nn.Module:
            return nn.Dense(
                features,
                dtype=self.dtype,
                kernel_init=nn.initializers.xavier_uniform(),
                name=name,
            )

        shape = (*x.shape[:2], self.heads, dim // self.heads)
        placed = x + position[None].astype(x.dtype)
        query, key = (dense(dim, name)(placed).reshape(shape) for name in ("query", "key"))
        value = dense(dim, "value")(x).reshape(shape)
        attended = jax.nn.dot_product_attention(query, key, value).reshape(x.shape)
        x = norm("norm1")(x + dense(dim, "out")(attended))
        hidden = nn.relu(dense(self.mlp_hidden, "fc1")(x))
        return norm("norm2")(x + dense(dim, "fc2")(hidden)), None


class TransPose(nn.Module):
    """Convolutional trunk and transformer encoder (Yang et al. 2021, arXiv:2012.14214).

    Attributes:
      trunk: module from images to one feature map, such as the first two stages of a ResNet.
      dim: width of the encoder, a multiple of 4 and of `heads`.
      depth, heads, mlp_hidden: layers, attention heads and hidden width of the encoder. Its layers'
        parameters are stacked, `[depth, ...]`.
    """

    trunk: nn.Module
    dim: int = 256
    depth: int = 4
    heads: int = 8
    mlp_hidden: int = 1024
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"embedding/.*",
        stacked=r"blocks/.*",
        tensor=(
            (r"blocks/(query|key|value|fc1)/(kernel|bias)", ("tensor",)),
            (r"blocks/(out|fc2)/kernel", ("tensor", None)),
        ),
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, h, w, dim]`, on the grid of the trunk's map."""
        x = self.trunk(images, train)
        batch, height, width, _ = x.shape
        x = nn.Dense(self.dim, use_bias=False, dtype=self.dtype, name="embedding")(x)
        layers = nn.scan(
            EncoderLayer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.depth,
            unroll=self.depth,
        )(self.heads, self.mlp_hidden, self.dtype, name="blocks")
        position = jnp.asarray(sine_positions(height, width, self.dim))
        x, _ = layers(x.reshape(batch, height * width, self.dim), position)
        return x.reshape(batch, height, width, self.dim)


def sine_positions(height: int, width: int, dim: int, temperature: float = 10000.0) -> np.ndarray:
    """Sines and cosines of row and column, `[height * width, dim]`, rows in the first half.

    Coordinates range up to 2 pi over the image, wavelengths from 2 pi to `temperature` * 2 pi
    (DETR, arXiv:2005.12872, appendix A.4).
    """
    half = dim // 2
    periods = temperature ** (2 * (np.arange(half) // 2) / half)

    def axis(length: int) -> np.ndarray:
        angles = (np.arange(1, length + 1) / length * 2 * math.pi)[:, None] / periods[None]
        return np.where(np.arange(half)[None] % 2 == 0, np.sin(angles), np.cos(angles))

    rows = np.broadcast_to(axis(height)[:, None], (height, width, half))
    columns = np.broadcast_to(axis(width)[None], (height, width, half))
    return np.concatenate([rows, columns], -1).reshape(-1, dim).astype(np.float32)
