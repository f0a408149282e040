"""Swin transformer: attention within windows that are shifted from block to block."""

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


class WindowAttention(nn.Module):
    """Self-attention within square windows, with a learnt bias for each relative position.

    The map is padded with zeros to whole windows, and rolled by `shift`. Patches that are no
    neighbours in the image, because the map was rolled, do not attend to each other.

    Attributes:
      heads: number of heads.
      window: side of a window in patches.
      shift: patches that the map is rolled by, up and left.
      dtype: compute dtype; softmax is in float32.
      centred: pad the map at both ends of an axis (HRFormer) rather than below and to the right.
    """

    heads: int
    window: int
    shift: tuple[int, int]
    dtype: str
    centred: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, D]` -> `[B, h, w, D]`."""
        height, width, dim = x.shape[1:]
        side, (up, left) = self.window, self.shift
        pads = [-size % side for size in (height, width)]
        top, start = (pad // 2 if self.centred else 0 for pad in pads)
        x = jnp.pad(x, ((0, 0), (top, pads[0] - top), (start, pads[1] - start), (0, 0)))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = jnp.roll(x, (-up, -left), (1, 2)) if up or left else x
        x = split_windows(x, side)
        shape = (3, self.heads, dim // self.heads)
        qkv = nn.DenseGeneral(shape, dtype=self.dtype, kernel_init=kernel_init, name="qkv")(x)
        q, k, v = (qkv[..., i, :, :] for i in range(3))
        q = q * jnp.asarray((dim // self.heads) ** -0.5, q.dtype)
        wide = jnp.promote_types(self.dtype, jnp.float32)
        logits = jnp.einsum("bwqhd,bwkhd->bwhqk", q, k, preferred_element_type=wide)
        table = self.param(
            "position_bias", kernel_init, ((2 * side - 1) ** 2, self.heads), jnp.float32
        )
        bias = table[relative_positions(side)].transpose(2, 0, 1)
        logits = logits + bias[None, None].astype(logits.dtype)
        if up or left:
            allowed = jnp.asarray(_same_region(rows * side, columns * side, side, self.shift))
            logits = jnp.where(allowed[None, :, None], logits, jnp.finfo(logits.dtype).min)
        weights = jax.nn.softmax(logits, -1).astype(v.dtype)
        x = jnp.einsum("bwhqk,bwkhd->bwqhd", weights, v)
        x = nn.DenseGeneral(
            dim, axis=(-2, -1), dtype=self.dtype, kernel_init=kernel_init, name="out"
        )(x)
        x = join_windows(x, side, (rows, columns))
        x = jnp.roll(x, (up, left), (1, 2)) if up or left else x
        return x[:, top : top + height, start : start + width]


def split_windows(x: jax.Array, side: int) -> jax.Array:
    """Windows `[B, rows * columns, side**2, D]` of a map `[B, rows * side, columns * side, D]`."""
    batch, height, width, dim = x.shape
    x = x.reshape(batch, height // side, side, width // side, side, dim)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, side * side, dim)


def join_windows(x: jax.Array, side: int, windows: tuple[int, int]) -> jax.Array:
    """Inverse of `split_windows`, for `windows` rows and columns of windows."""
    (rows, columns), dim = windows, x.shape[-1]
    x = x.reshape(-1, rows, columns, side, side, dim).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, rows * side, columns * side, dim)


def relative_positions(side: int) -> np.ndarray:
    """Row of the table of biases for each query and key of a window, `[side**2, side**2]`."""
    y, x = np.divmod(np.arange(side * side), side)
    rows = y[:, None] - y[None] + side - 1
    return rows * (2 * side - 1) + x[:, None] - x[None] + side - 1


def _same_region(height: int, width: int, side: int, shift: tuple[int, int]) -> np.ndarray:
    """True for patches of a window that are neighbours in the image, `[windows, side**2] * 2`."""

    def regions(size: int, by: int) -> np.ndarray:
        places = np.arange(size)
        return (places >= size - side).astype(int) + (places >= size - by) if by else 0 * places

    number = 3 * regions(height, shift[0])[:, None] + regions(width, shift[1])[None]
    number = number.reshape(height // side, side, width // side, side).transpose(0, 2, 1, 3)
    number = number.reshape(-1, side * side)
    return number[:, :, None] == number[:, None]


class PatchMerging(nn.Module):
    """Halve the map: a norm and a linear layer on each 2x2 of neighbouring patches."""

    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, ceil(h / 2), ceil(w / 2), features]`."""
        height, width = x.shape[1:3]
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        # In the order of the authors' code: the lower left before the upper right.
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        x = nn.LayerNorm(1e-5, dtype=self.dtype, name="norm")(jnp.concatenate(parts, -1))
        return nn.Dense(
            self.features,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=kernel_init,
            name="reduction",
        )(x)


class SwinBlock(nn.Module):
    """Pre-norm block of window attention and MLP; the first of a stage merges patches before."""

    features: int
    heads: int
    window: int
    shift: tuple[int, int]
    merge: bool
    drop_rate: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`, or a map of half the size."""
        residual = partial(maybe_dropped, self, rate=self.drop_rate, train=train)
        if self.merge:
            x = PatchMerging(self.features, self.dtype, name="merge")(x)
        attend = WindowAttention(self.heads, self.window, self.shift, self.dtype, name="attention")
        x = x + residual(attend(nn.LayerNorm(1e-5, dtype=self.dtype, name="norm1")(x)))
        mlp = MLP(4 * self.features, self.dtype, name="mlp")
        return x + residual(mlp(nn.LayerNorm(1e-5, dtype=self.dtype, name="norm2")(x)))


class Swin(nn.Module):
    """Swin transformer (Liu et al. 2021, arXiv:2103.14030), whose last map is the output.

    Attributes:
      dim: width of the first stage; each stage doubles it.
      depths: blocks of each stage.
      heads: attention heads of each stage.
      window: side of a window in patches.
      patch: side of a patch in pixels.
      shift_single: shift the windows also along an axis with one window, as MMPose does; the
        authors' code and timm do not.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      remat: "block" recomputes each block in the backward pass; "none" keeps its results.
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7
    patch: int = 4
    shift_single: bool = True
    drop_path: float = 0.0
    remat: str = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"patch_(embed|norm)/.*",
        stages=r"block_(\d+)/.*",
        no_decay=(r".*position_bias",),
        tensor=(*TRANSFORMER_TENSOR, (r"(.*/)?attention/position_bias", ("tensor",))),
        matrices=TRANSFORMER_MATRICES,
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 8 * dim]` for four stages."""
        height, width = images.shape[1:3]
        if height % self.patch or width % self.patch:
            raise InputError(
                f"Images of {height} x {width} pixels are no whole patches of {self.patch}."
            )
        x = PatchEmbedding(self.dim, self.patch, 0, self.dtype, name="patch_embed")(images)
        x = nn.LayerNorm(1e-5, dtype=self.dtype, name="patch_norm")(x)
        block = nn.remat(SwinBlock, static_argnums=(2,)) if self.remat == "block" else SwinBlock
        rates = np.linspace(0.0, self.drop_path, sum(self.depths))
        number = 0
        for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            for i in range(depth):
                merge = stage > 0 and i == 0
                grid = tuple(-(-size // 2) if merge else size for size in x.shape[1:3])
                half = self.window // 2 if i % 2 else 0
                shift = tuple(
                    half if self.shift_single or size > self.window else 0 for size in grid
                )
                x = block(
                    self.dim * 2**stage,
                    heads,
                    self.window,
                    (shift[0], shift[1]),
                    merge,
                    float(rates[number]),
                    self.dtype,
                    name=f"block_{number}",
                )(x, train)
                number += 1
        return nn.LayerNorm(1e-5, dtype=self.dtype, name="norm")(x)
