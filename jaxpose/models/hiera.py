"""Hiera: a hierarchical vision transformer of plain parts."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules
from jaxpose.models.patches import kernel_init
from jaxpose.models.vit_block import MLP, maybe_dropped


class PooledAttention(nn.Module):
    """Self-attention within windows, or over the whole map; queries may be pooled.

    Attributes:
      features: width of the result.
      heads: number of heads.
      window: side of a window in patches; 0 for the whole map.
      pool: True for the maximum of each 2x2 of queries.
      dtype: compute dtype; softmax is in float32.
    """

    features: int
    heads: int
    window: int
    pool: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`, or half the size."""
        batch, height, width, _ = x.shape
        shape = (3, self.heads, self.features // self.heads)
        qkv = nn.DenseGeneral(shape, dtype=self.dtype, kernel_init=kernel_init, name="qkv")(x)
        sides = (self.window, self.window) if self.window else (height, width)
        grid = height // sides[0], width // sides[1]

        def windows(part: jax.Array) -> jax.Array:
            rows, columns = part.shape[1] // grid[0], part.shape[2] // grid[1]
            part = part.reshape(batch, grid[0], rows, grid[1], columns, *part.shape[3:])
            part = part.transpose(0, 1, 3, 2, 4, 5, 6)
            return part.reshape(-1, rows * columns, *part.shape[5:])

        q, k, v = (qkv[:, :, :, i] for i in range(3))
        q = max_pool(q) if self.pool else q
        out_hw = q.shape[1:3]
        attended = jax.nn.dot_product_attention(windows(q), windows(k), windows(v))
        rows, columns = out_hw[0] // grid[0], out_hw[1] // grid[1]
        attended = attended.reshape(batch, *grid, rows, columns, self.features)
        attended = attended.transpose(0, 1, 3, 2, 4, 5).reshape(batch, *out_hw, self.features)
        return nn.Dense(self.features, dtype=self.dtype, kernel_init=kernel_init, name="out")(
            attended
        )


def max_pool(x: jax.Array) -> jax.Array:
    """Maximum of each 2x2 of a map `[B, h, w, ...]`."""
    batch, height, width = x.shape[:3]
    return x.reshape(batch, height // 2, 2, width // 2, 2, *x.shape[3:]).max((2, 4))


class HieraBlock(nn.Module):
    """Pre-norm block; with `pool`, the map is halved and projected to `features`."""

    features: int
    heads: int
    window: int
    pool: bool
    drop_rate: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`, or half the size."""
        residual = partial(maybe_dropped, self, rate=self.drop_rate, train=train)
        y = nn.LayerNorm(1e-6, dtype=self.dtype, name="norm1")(x)
        if self.pool:
            dense = nn.Dense(
                self.features, dtype=self.dtype, kernel_init=kernel_init, name="projection"
            )
            x = max_pool(dense(y))
        attend = PooledAttention(
            self.features, self.heads, self.window, self.pool, self.dtype, name="attention"
        )
        x = x + residual(attend(y))
        y = nn.LayerNorm(1e-6, dtype=self.dtype, name="norm2")(x)
        return x + residual(MLP(4 * self.features, self.dtype, name="mlp")(y))


class Hiera(nn.Module):
    """Hiera (Ryali et al. 2023, arXiv:2306.00989), whose last map is the output.

    Attention is within windows of 8x8 patches of the first stage and the same area of the second,
    and over the whole map from the third stage on, after its first block.

    Attributes:
      input_hw: image height and width in pixels, multiples of 32.
      dim: width of the first stage; each stage doubles it.
      depths: blocks of each stage.
      heads: attention heads of the first stage; each stage doubles them.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      remat: "block" recomputes each block in the backward pass; "none" keeps its results.
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    input_hw: tuple[int, int] = (256, 192)
    dim: int = 96
    depths: tuple[int, ...] = (1, 2, 7, 2)
    heads: int = 1
    drop_path: float = 0.0
    remat: str = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"patch_embed/.*|position_embedding",
        stages=r"block_(\d+)/.*",
        no_decay=("position_embedding",),
        tensor=(
            *(rule for rule in TRANSFORMER_TENSOR if "out" not in rule[0]),
            (r"(.*/)?attention/out/kernel", ("tensor", None)),
        ),
        matrices=TRANSFORMER_MATRICES,
    )

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the first stage's map."""
        return self.input_hw[0] // 4, self.input_hw[1] // 4

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 8 * dim]` for four stages."""
        if images.shape[1:3] != tuple(self.input_hw) or any(size % 32 for size in self.input_hw):
            raise InputError(
                f"This Hiera was built for images [B, {self.input_hw[0]}, {self.input_hw[1]}, 3] "
                f"of multiples of 32 pixels, but got {list(images.shape)}. Set its input_hw to "
                "the size of the images."
            )
        x = nn.Conv(
            self.dim,
            (7, 7),
            4,
            padding=3,
            dtype=self.dtype,
            kernel_init=kernel_init,
            name="patch_embed",
        )(images)
        shape = (self.grid_hw[0] * self.grid_hw[1], self.dim)
        position = self.param("position_embedding", kernel_init, shape, jnp.float32)
        x = x + position.reshape(1, *x.shape[1:]).astype(x.dtype)
        block = nn.remat(HieraBlock, static_argnums=(2,)) if self.remat == "block" else HieraBlock
        rates = np.linspace(0.0, self.drop_path, sum(self.depths))
        number = 0
        for stage, depth in enumerate(self.depths):
            for i in range(depth):
                pool = stage > 0 and i == 0
                # A window's side before pooling; a stage's first block has that of the last stage.
                side = 8 // 2 ** (stage - pool) if stage - pool < 2 else 0
                x = block(
                    self.dim * 2**stage,
                    self.heads * 2**stage,
                    side,
                    pool,
                    float(rates[number]),
                    self.dtype,
                    name=f"block_{number}",
                )(x, train)
                number += 1
        return x
