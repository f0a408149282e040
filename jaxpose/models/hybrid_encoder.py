"""Hybrid encoder of RT-DETR and RTMO: attention on the coarsest map, then path aggregation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.csp import Style
from jaxpose.models.upsample import repeat

# Longest wavelength of the positions, in places over 2 pi.
_TEMPERATURE = 10000.0
_BLOCKS = 3


class PostNormLayer(nn.Module):
    """Post-norm transformer layer with one projection for queries, keys and values.

    Positions are added to queries and keys (DETR, arXiv:2005.12872, appendix A.3); the activation
    is the exact GELU, as in RTMO.
    """

    heads: int
    mlp_hidden: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, position: jax.Array) -> jax.Array:
        """`[B, N, D]` and positions `[N, D]` -> `[B, N, D]`."""
        dim = x.shape[-1]
        head_dim = dim // self.heads
        init = nn.initializers.xavier_uniform()
        kernel = self.param("qkv_kernel", init, (dim, 3, self.heads, head_dim), jnp.float32)
        bias = self.param(
            "qkv_bias", nn.initializers.zeros_init(), (3, self.heads, head_dim), jnp.float32
        )

        def project(tokens: jax.Array, part: int) -> jax.Array:
            weights = kernel[:, part].astype(self.dtype)
            projected = jnp.einsum("bnd,dhe->bnhe", tokens.astype(self.dtype), weights)
            return projected + bias[part].astype(self.dtype)[None, None]

        placed = x + position[None].astype(x.dtype)
        query, key, value = project(placed, 0), project(placed, 1), project(x, 2)
        attended = jax.nn.dot_product_attention(query, key, value).reshape(x.shape)

        def dense(features: int, name: str) -> nn.Dense:
            return nn.Dense(features, dtype=self.dtype, kernel_init=init, name=name)

        def norm(name: str) -> nn.LayerNorm:
            return nn.LayerNorm(1e-5, dtype=self.dtype, name=name)

        x = norm("norm1")(x + dense(dim, "out")(attended))
        hidden = nn.gelu(dense(self.mlp_hidden, "fc1")(x), approximate=False)
        return norm("norm2")(x + dense(dim, "fc2")(hidden))


class RepVGGBlock(nn.Module):
    """Sum of a 3x3 and a 1x1 convolution, each with its norm (arXiv:2101.03697, fig. 2b)."""

    features: int
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        wide = self.style.conv(self.features, 3, "wide", activation="none")(x, train)
        narrow = self.style.conv(self.features, 1, "narrow", activation="none")(x, train)
        return nn.silu(wide + narrow)


class CSPRepLayer(nn.Module):
    """RepVGG blocks beside a 1x1 convolution, added (RT-DETR, arXiv:2304.08069, fig. 4).

    Attributes:
      features: output channels.
      hidden: channels of the blocks; a last convolution follows where they are not `features`.
      blocks: number of blocks.
    """

    features: int
    hidden: int
    blocks: int
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        main = self.style.conv(self.hidden, 1, "main")(x, train)
        for k in range(self.blocks):
            main = RepVGGBlock(self.hidden, self.style, name=f"block_{k}")(main, train)
        x = main + self.style.conv(self.hidden, 1, "short")(x, train)
        if self.hidden == self.features:
            return x
        return self.style.conv(self.features, 1, "final")(x, train)


class HybridEncoder(nn.Module):
    """Hybrid encoder (RT-DETR, Lv et al. 2023, arXiv:2304.08069, section 4.2).

    Attributes:
      widen, deepen: factors on the hidden channels and on the blocks of its layers.
      features: channels of the maps that it returns.
      outputs: indices of the maps to return, by increasing stride.
      dim: channels within the encoder.
      heads, mlp_hidden: of the transformer layer.
      style: style of all convolutions.
    """

    widen: float
    deepen: float
    features: int
    outputs: tuple[int, ...] = (1, 2)
    dim: int = 256
    heads: int = 8
    mlp_hidden: int = 1024
    style: Style = Style()

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps by increasing stride -> the maps of `outputs`, `[B, h, w, features]`."""
        style, last = self.style, len(maps) - 1
        maps = tuple(
            style.conv(self.dim, 1, f"input_{i}", activation="none")(x, train)
            for i, x in enumerate(maps)
        )
        batch, height, width, _ = maps[-1].shape
        position = jnp.asarray(row_and_column(height, width, self.dim))
        layer = PostNormLayer(self.heads, self.mlp_hidden, style.dtype, name="encoder")
        high = layer(maps[-1].reshape(batch, height * width, self.dim), position)
        high = high.reshape(batch, height, width, self.dim)
        reduced = []
        for i, low in enumerate(reversed(maps[:-1])):
            high = style.conv(self.dim, 1, f"reduce_{i}")(high, train)
            reduced.append(high)
            joined = jnp.concatenate([repeat(high, 2), low], axis=-1)
            high = self._layer(f"down_{i}")(joined, train)
        path = [high]
        for i, low in enumerate(reversed(reduced)):
            down = style.conv(self.dim, 3, f"shrink_{i}", stride=2)(path[-1], train)
            path.append(self._layer(f"up_{i}")(jnp.concatenate([down, low], axis=-1), train))
        assert all(0 <= i <= last for i in self.outputs)
        return tuple(
            style.conv(self.features, 1, f"out_{k}", activation="none")(path[i], train)
            for k, i in enumerate(self.outputs)
        )

    def _layer(self, name: str) -> CSPRepLayer:
        hidden, blocks = int(self.dim * self.widen), round(_BLOCKS * self.deepen)
        return CSPRepLayer(self.dim, hidden, blocks, self.style, name=name)


def row_and_column(height: int, width: int, dim: int) -> np.ndarray:
    """Positions `[height * width, dim]`: cosines and sines of the row, then of the column.

    Rows and columns are counted from 0, unlike in `hybrid.sine_positions`.
    """
    quarter = dim // 4
    periods = _TEMPERATURE ** (np.arange(quarter) / quarter)

    def axis(places: np.ndarray) -> np.ndarray:
        angles = places.reshape(-1, 1) / periods[None]
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)

    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.concatenate([axis(rows), axis(columns)], axis=-1).astype(np.float32)
