"""Vision transformer of Segment Anything: windows, and relative positions of each axis."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules
from jaxpose.models.patches import PatchEmbedding, kernel_init
from jaxpose.models.swin import join_windows, split_windows
from jaxpose.models.vit_block import MLP, maybe_dropped


class AxialAttention(nn.Module):
    """Self-attention of a map, or of its windows, with relative positions of each axis.

    A query's product with a learnt vector for each difference of rows, and one for each difference
    of columns, is added to its product with the key (arXiv:2112.01526, section 4.1). The map is
    padded with zeros below and to the right to whole windows.

    Attributes:
      heads: number of heads.
      window: side of a window in patches; 0 for the whole map.
      dtype: compute dtype; softmax is in float32.
    """

    heads: int
    window: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, D]` -> `[B, h, w, D]`."""
        height, width, dim = x.shape[1:]
        side = self.window
        rows, columns = (side, side) if side else (height, width)
        x = jnp.pad(x, ((0, 0), (0, -height % rows), (0, -width % columns), (0, 0)))
        windows = x.shape[1] // rows, x.shape[2] // columns
        x = split_windows(x, side) if side else x.reshape(-1, 1, height * width, dim)

        shape = (3, self.heads, dim // self.heads)
        qkv = nn.DenseGeneral(shape, dtype=self.dtype, kernel_init=kernel_init, name="qkv")(x)
        q, k, v = (qkv[..., i, :, :] for i in range(3))
        wide = jnp.promote_types(self.dtype, jnp.float32)
        scaled = q * jnp.asarray((dim // self.heads) ** -0.5, q.dtype)
        logits = jnp.einsum("bwqhd,bwkhd->bwhqk", scaled, k, preferred_element_type=wide)
        grid = q.reshape(*q.shape[:2], rows, columns, *q.shape[3:])
        by_row = self._products("rows", grid, "bwyxhd,ykd->bwhyxk", rows, wide)
        by_column = self._products("columns", grid, "bwyxhd,xkd->bwhyxk", columns, wide)
        logits = logits.reshape(*by_row.shape, columns)
        logits = logits + by_row[..., :, None] + by_column[..., None, :]
        logits = logits.reshape(*logits.shape[:3], rows * columns, rows * columns)

        weights = jax.nn.softmax(logits, -1).astype(v.dtype)
        x = jnp.einsum("bwhqk,bwkhd->bwqhd", weights, v)
        x = nn.DenseGeneral(
            dim, axis=(-2, -1), dtype=self.dtype, kernel_init=kernel_init, name="out"
        )(x)
        x = join_windows(x, side, windows) if side else x.reshape(-1, height, width, dim)
        return x[:, :height, :width]

    def _products(
        self, axis: str, grid: jax.Array, equation: str, size: int, wide: np.dtype
    ) -> jax.Array:
        """Products of queries with the vectors of the differences to all keys of an axis."""
        shape = (2 * size - 1, grid.shape[-1])
        table = self.param(f"relative_{axis}", kernel_init, shape, jnp.float32)
        places = np.arange(size)
        of_pair = table[places[:, None] - places + size - 1].astype(self.dtype)
        return jnp.einsum(equation, grid, of_pair, preferred_element_type=wide)


class SAMBlock(nn.Module):
    """Pre-norm block of `AxialAttention` and MLP.

    Attributes:
      heads, window, dtype: as in `AxialAttention`.
      norm_eps: epsilon of the norms.
      drop_rate: drop rate of the block's residual branches.
    """

    heads: int
    window: int
    norm_eps: float
    drop_rate: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, D]` -> `[B, h, w, D]`."""
        residual = partial(maybe_dropped, self, rate=self.drop_rate, train=train)
        attention = AxialAttention(self.heads, self.window, self.dtype, name="attention")
        norm = nn.LayerNorm(self.norm_eps, dtype=self.dtype, name="norm1")
        x = x + residual(attention(norm(x)))
        norm = nn.LayerNorm(self.norm_eps, dtype=self.dtype, name="norm2")
        return x + residual(MLP(4 * x.shape[-1], self.dtype, name="mlp")(norm(x)))


class SAMViT(nn.Module):
    """Image encoder of Segment Anything (arXiv:2304.02643, appendix A), a ViT of ViTDet's kind.

    Attention is within windows, but over the whole map in the last block of each of `sections`
    sections of the network (arXiv:2203.16527, section 3).

    Attributes:
      input_hw: image height and width in pixels, multiples of `patch`.
      dim: width of the tokens.
      depth: number of blocks, a multiple of `sections`.
      heads: number of attention heads in each block.
      patch: side of a patch in pixels.
      window: side of a window in patches.
      sections: number of blocks with attention over the whole map.
      neck: channels of the output, from a 1x1 and a 3x3 convolution with a layer norm each; 0 for
        the last block's output.
      norm_eps: epsilon of the blocks' norms: 1e-6 in the authors' code, 1e-5 in timm's.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      remat: "block" recomputes each block in the backward pass; "none" keeps its results.
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    input_hw: tuple[int, int] = (256, 192)
    dim: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 16
    window: int = 14
    sections: int = 4
    neck: int = 256
    norm_eps: float = 1e-6
    drop_path: float = 0.0
    remat: str = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"patch_embed/.*|position_embedding",
        stages=r"block_(\d+)/.*",
        no_decay=("position_embedding", r".*relative_(rows|columns)"),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the map of patches."""
        return self.input_hw[0] // self.patch, self.input_hw[1] // self.patch

    def is_global(self, block: int) -> bool:
        """True if attention is over the whole map in block number `block`."""
        return (block + 1) % (self.depth // self.sections) == 0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / patch, W / patch, neck]`, or `dim` channels."""
        hw = tuple(self.input_hw)
        if images.shape[1:3] != hw or any(size % self.patch for size in hw):
            raise InputError(
                f"This ViT was built for images [B, {hw[0]}, {hw[1]}, 3] of whole patches of "
                f"{self.patch} pixels, but got {list(images.shape)}. Set its input_hw to the size "
                "of the images."
            )
        if self.depth % self.sections or self.dim % self.heads:
            raise InputError(
                f"SAMViT depth {self.depth} must be a multiple of its {self.sections} sections, "
                f"and dim {self.dim} one of its {self.heads} heads."
            )
        x = PatchEmbedding(self.dim, self.patch, 0, self.dtype, name="patch_embed")(images)
        shape = (self.grid_hw[0] * self.grid_hw[1], self.dim)
        position = self.param("position_embedding", kernel_init, shape, jnp.float32)
        x = x + position.reshape(1, *x.shape[1:]).astype(x.dtype)
        block = nn.remat(SAMBlock, static_argnums=(2,)) if self.remat == "block" else SAMBlock
        for i, rate in enumerate(np.linspace(0.0, self.drop_path, self.depth)):
            window = 0 if self.is_global(i) else self.window
            part = (self.heads, window, self.norm_eps, float(rate), self.dtype)
            x = block(*part, name=f"block_{i}")(x, train)
        for i, size in enumerate((1, 3) if self.neck else ()):
            x = nn.Conv(
                self.neck,
                (size, size),
                padding=size // 2,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=kernel_init,
                name=f"neck_{i}",
            )(x)
            x = nn.LayerNorm(1e-6, dtype=self.dtype, name=f"neck_norm_{i}")(x)
        return x
