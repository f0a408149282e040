"""Vision transformer backbone as ViTPose uses it: plain, non-hierarchical, no class token."""

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.norm import BatchNorm

_kernel_init = nn.initializers.truncated_normal(0.02)

# `jax.checkpoint` policies by the name used in the `remat` attribute.
_REMAT_POLICIES = {
    "block": None,  # keep only each block's input
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,  # keep the matmuls' results
}


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to vectors, as one reshape and one matmul.

    ViTPose pads the image by 2 pixels and lets a `patch`-sized, `patch`-strided convolution drop
    what is left over: the grid starts `padding` pixels above and left of the image, and the last
    `padding` rows and columns are not seen.
    """

    dim: int
    patch: int
    padding: int
    dtype: str

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
        return nn.Dense(self.dim, dtype=self.dtype, kernel_init=_kernel_init, name="projection")(x)


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
        return nn.Dense(self.dim, dtype=self.dtype, kernel_init=_kernel_init, name="projection")(x)


def drop_path(x: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Zero whole samples of a residual branch (stochastic depth, Huang et al. 2016).

    `x` is `[B, ...]`. A sample is dropped with probability `rate`, else divided by `1 - rate`, so
    the expectation is `x`. (arXiv:1603.09382)
    """
    keep = jax.random.bernoulli(key, 1.0 - rate, (x.shape[0],) + (1,) * (x.ndim - 1))
    return jnp.where(keep, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros((), x.dtype))


class Attention(nn.Module):
    """Multi-head self-attention with a fused query-key-value projection.

    The projection's kernel is `[dim, 3, heads, head_dim]`, so that tensor parallelism can shard
    the head axis; it is still one matmul.
    """

    heads: int
    implementation: Literal["xla", "cudnn"]
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, N, D]` -> `[B, N, D]`; softmax in float32."""
        dim = x.shape[-1]
        qkv = nn.DenseGeneral(
            (3, self.heads, dim // self.heads),
            dtype=self.dtype,
            kernel_init=_kernel_init,
            name="qkv",
        )(x)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        # Scaling the queries spares scaling [N, N] logits, forward and backward.
        q = q * jnp.asarray((dim // self.heads) ** -0.5, q.dtype)
        x = jax.nn.dot_product_attention(q, k, v, scale=1.0, implementation=self.implementation)
        return nn.DenseGeneral(
            dim, axis=(-2, -1), dtype=self.dtype, kernel_init=_kernel_init, name="out"
        )(x)


class MLP(nn.Module):
    """Two linear layers with an exact (erf) GELU between."""

    hidden: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., D]` -> `[..., D]`."""
        dim = x.shape[-1]
        x = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=_kernel_init, name="fc1")(x)
        x = jax.nn.gelu(x, approximate=False)
        return nn.Dense(dim, dtype=self.dtype, kernel_init=_kernel_init, name="fc2")(x)


class Block(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 2-3)."""

    heads: int
    mlp_hidden: int
    norm_eps: float
    attention: Literal["xla", "cudnn"]
    dtype: str
    stochastic: bool

    @nn.compact
    def __call__(self, x: jax.Array, drop_rate: jax.Array) -> tuple[jax.Array, None]:
        """`[B, N, D]` and this layer's drop rate -> (`[B, N, D]`, None), as `nn.scan` wants."""

        def residual(branch: jax.Array) -> jax.Array:
            if not self.stochastic:
                return branch
            return drop_path(branch, drop_rate, self.make_rng("dropout"))

        def norm(name: str) -> nn.Module:
            return nn.LayerNorm(self.norm_eps, dtype=self.dtype, name=name)

        attend = Attention(self.heads, self.attention, self.dtype, name="attention")
        x = x + residual(attend(norm("norm1")(x)))
        mlp = MLP(self.mlp_hidden, self.dtype, name="mlp")
        x = x + residual(mlp(norm("norm2")(x)))
        return x, None


class ViT(nn.Module):
    """Plain vision transformer returning its last feature map (ViTPose, arXiv:2204.12484).

    Parameters of all blocks are stored stacked, `[depth, ...]`, whatever `unroll` is.

    Attributes:
      input_hw: image height and width in pixels, multiples of `patch`.
      dim, depth, heads: width, number of blocks, attention heads.
      patch: patch side and stride of the output, in pixels (a power of two for the conv stem).
      patch_padding: pixels the patch grid is shifted up and left; 2 in ViTPose, 0 in ImageNet ViTs.
      stem: "patch" (one matmul) or "conv" (`ConvStem`).
      mlp_ratio: hidden width of the MLP over `dim`.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      norm_eps: epsilon of the layer norms.
      unroll: blocks written out per scan step. 0 means all of them up to depth 12 and one beyond:
        straight-line code runs faster, a loop keeps compile time from growing with depth.
      remat: "none", "block" (keep block inputs, recompute the rest in the backward pass) or
        "dots" (keep matmul results too).
      attention: "xla" or "cudnn" (fused; NVIDIA and bfloat16 only).
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    input_hw: tuple[int, int] = (256, 192)
    dim: int = 384
    depth: int = 12
    heads: int = 12
    patch: int = 16
    patch_padding: int = 2
    stem: str = "patch"
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    norm_eps: float = 1e-6
    unroll: int = 0
    remat: str = "none"
    attention: Literal["xla", "cudnn"] = "xla"
    dtype: str = "float32"

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the feature map."""
        return self.input_hw[0] // self.patch, self.input_hw[1] // self.patch

    def _check(self, images: jax.Array) -> None:
        if images.ndim != 4 or images.shape[1:3] != tuple(self.input_hw):
            raise InputError(
                f"This ViT was built for images [B, {self.input_hw[0]}, {self.input_hw[1]}, 3], "
                f"but got {list(images.shape)}. Set its input_hw to the size of the images."
            )
        if self.input_hw[0] % self.patch or self.input_hw[1] % self.patch:
            raise InputError(f"input_hw {self.input_hw} is no multiple of patch {self.patch}.")
        if self.dim % self.heads:
            raise InputError(f"ViT dim {self.dim} cannot be split into {self.heads} heads.")
        for name, value, known in (
            ("stem", self.stem, ("patch", "conv")),
            ("remat", self.remat, ("none", *_REMAT_POLICIES)),
            ("attention", self.attention, ("xla", "cudnn")),
        ):
            if value not in known:
                raise InputError(f"ViT {name} must be one of {', '.join(known)}, not {value!r}.")

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / patch, W / patch, dim]` in `dtype`.

        With `train=True` and `drop_path > 0`, needs `rngs={"dropout": key}`.
        """
        self._check(images)
        if self.stem == "conv":
            x = ConvStem(self.dim, self.patch, self.dtype, name="patch_embed")(images, train)
        else:
            x = PatchEmbedding(
                self.dim, self.patch, self.patch_padding, self.dtype, name="patch_embed"
            )(images)
        batch, height, width, _ = x.shape
        x = x.reshape(batch, height * width, self.dim)
        position = self.param(
            "position_embedding", _kernel_init, (height * width, self.dim), jnp.float32
        )
        x = x + position[None].astype(x.dtype)

        block = Block
        if self.remat != "none":
            block = nn.remat(block, policy=_REMAT_POLICIES[self.remat], prevent_cse=False)
        unroll = self.unroll or (self.depth if self.depth <= 12 else 1)
        layers = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.depth,
            unroll=min(unroll, self.depth),
        )(
            heads=self.heads,
            mlp_hidden=int(self.dim * self.mlp_ratio),
            norm_eps=self.norm_eps,
            attention=self.attention,
            dtype=self.dtype,
            stochastic=train and self.drop_path > 0,
            name="blocks",
        )
        x, _ = layers(x, jnp.linspace(0.0, self.drop_path, self.depth))
        x = nn.LayerNorm(self.norm_eps, dtype=self.dtype, name="norm")(x)
        return x.reshape(batch, height, width, self.dim)
