"""Pyramid vision transformer: four stages, whose keys and values are from a smaller map."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules
from jaxpose.models.patches import PatchEmbedding, kernel_init
from jaxpose.models.vit_block import MLP, maybe_dropped


class Projections(nn.Module):
    """Queries of some tokens, and keys and values of others, from one kernel `[D, 3, heads, d]`."""

    heads: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`[B, N, D]` and `[B, M, D]` -> `[B, N, heads, d]` and twice `[B, M, heads, d]`."""
        dim = x.shape[-1]
        shape = (3, self.heads, dim // self.heads)
        flat = nn.initializers.truncated_normal(0.02)
        kernel = self.param("kernel", flat, (dim, *shape), jnp.float32).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), shape, jnp.float32)
        bias = bias.astype(self.dtype)[None, None]
        q = jnp.einsum("bnd,dhk->bnhk", x, kernel[:, 0]) + bias[:, :, 0]
        key_value = jnp.einsum("bnd,dphk->bnphk", memory, kernel[:, 1:]) + bias[:, :, 1:]
        return q, key_value[:, :, 0], key_value[:, :, 1]


class ReducedAttention(nn.Module):
    """Attention to a map whose sides are `reduction` times smaller (arXiv:2102.12122, eq. 1-2)."""

    heads: int
    reduction: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, D]` -> `[B, h, w, D]`; softmax in float32."""
        batch, height, width, dim = x.shape
        memory = x
        if self.reduction > 1:
            memory = PatchEmbedding(dim, self.reduction, 0, self.dtype, name="reduce")(x)
            memory = nn.LayerNorm(1e-6, dtype=self.dtype, name="norm")(memory)
        q, k, v = Projections(self.heads, self.dtype, name="qkv")(
            x.reshape(batch, -1, dim), memory.reshape(batch, -1, dim)
        )
        attended = jax.nn.dot_product_attention(q, k, v)
        out = nn.DenseGeneral(
            dim, axis=(-2, -1), dtype=self.dtype, kernel_init=kernel_init, name="out"
        )(attended)
        return out.reshape(batch, height, width, dim)


class PVTBlock(nn.Module):
    """Pre-norm block; the first of a stage embeds patches of `patch` pixels before."""

    features: int
    heads: int
    reduction: int
    mlp_hidden: int
    patch: int
    drop_rate: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`, or a smaller map."""

        def norm(name: str) -> nn.Module:
            return nn.LayerNorm(1e-6, dtype=self.dtype, name=name)

        residual = partial(maybe_dropped, self, rate=self.drop_rate, train=train)
        if self.patch:
            x = PatchEmbedding(self.features, self.patch, 0, self.dtype, name="embed")(x)
            x = norm("embed_norm")(x)
            count = x.shape[1] * x.shape[2]
            shape = (count, self.features)
            position = self.param("position_embedding", kernel_init, shape, jnp.float32)
            x = x + position.reshape(1, *x.shape[1:]).astype(x.dtype)
        attend = ReducedAttention(self.heads, self.reduction, self.dtype, name="attention")
        x = x + residual(attend(norm("norm1")(x)))
        return x + residual(MLP(self.mlp_hidden, self.dtype, name="mlp")(norm("norm2")(x)))


class PVT(nn.Module):
    """Pyramid vision transformer (Wang et al. 2021, arXiv:2102.12122); its last map is the output.

    Attributes:
      input_hw: image height and width in pixels, multiples of 32.
      depths: blocks of each stage.
      dims: width of each stage.
      heads: attention heads of each stage.
      reductions: factor of each stage's map of keys and values.
      mlp_ratios: hidden units of each stage's MLP as a multiple of its width.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      remat: "block" recomputes each block in the backward pass; "none" keeps its results.
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    input_hw: tuple[int, int] = (256, 192)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    dims: tuple[int, ...] = (64, 128, 320, 512)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    mlp_ratios: tuple[int, ...] = (8, 8, 4, 4)
    drop_path: float = 0.0
    remat: str = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"block_0/(embed.*|position_embedding)",
        stages=r"block_(\d+)/.*",
        no_decay=(r".*position_embedding",),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each stage's map."""
        strides = [4 * 2**stage for stage in range(len(self.dims))]
        return tuple((self.input_hw[0] // s, self.input_hw[1] // s) for s in strides)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, dims[-1]]` for four stages."""
        if images.shape[1:3] != tuple(self.input_hw) or any(size % 32 for size in self.input_hw):
            raise InputError(
                f"This PVT was built for images [B, {self.input_hw[0]}, {self.input_hw[1]}, 3] of "
                f"multiples of 32 pixels, but got {list(images.shape)}. Set its input_hw to the "
                "size of the images."
            )
        block = nn.remat(PVTBlock, static_argnums=(2,)) if self.remat == "block" else PVTBlock
        rates = np.linspace(0.0, self.drop_path, sum(self.depths))
        x, number = images, 0
        for stage, depth in enumerate(self.depths):
            for i in range(depth):
                patch = (2 if stage else 4) if i == 0 else 0
                x = block(
                    self.dims[stage],
                    self.heads[stage],
                    self.reductions[stage],
                    self.mlp_ratios[stage] * self.dims[stage],
                    patch,
                    float(rates[number]),
                    self.dtype,
                    name=f"block_{number}",
                )(x, train)
                number += 1
        return x
