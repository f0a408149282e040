"""Bilinear resampling as a TPU kernel: matrix products over the blocks that each tile needs.

The value of an output pixel at the source's (u, v) is `sum_ij hat(i - u) hat(j - v) source[j, i]`,
with `hat(t) = max(1 - |t|, 0)`. For a tile of output pixels, the sum over rows j is a matrix
product of a block of the source with the weights of all pixels of the tile; the sum over columns i
is a product by elements and a reduction. Only the blocks between the tile's corners are computed,
so the work follows the map's scale and rotation, and no map is approximated.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

TILE_HW = (64, 16)
"""Output pixels of one step. Smaller tiles repeat more work, larger ones need more blocks."""

BLOCK_HW = (128, 32)
"""Source pixels of one product: a TPU's lanes are rows, its sublanes (4 x 8 bytes) are columns."""

_FRACTIONS = 256.0
"""Parts of a pixel to which rows are rounded: bfloat16 holds both weights exactly, with sum 1."""


def warp_by_blocks(
    images: jax.Array,
    inverse: jax.Array,
    output_hw: tuple[int, int],
    border: float = 0.0,
    interpret: bool = False,
) -> jax.Array:
    """Resample images `[B, H, W, C]` to float32 `[B, h, w, C]`; see `resampling.warp`.

    Args:
      images: uint8 or floating.
      inverse: `[B, 2, 3]`, output pixels to source pixels.
      output_hw: static.
      border: static; value outside the images.
      interpret: static; compute by JAX on any platform, for tests.
    """
    batch, height, width, channels = images.shape
    # XLA's own layout of such images has rows in lanes too, so this moves nothing.
    planar = images.transpose(0, 3, 2, 1)
    padding = ((0, 0), (0, 0), (0, -width % BLOCK_HW[1]), (0, -height % BLOCK_HW[0]))
    planar = jnp.pad(planar, padding, constant_values=border)
    tiles_y, tiles_x = (-(-size // tile) for size, tile in zip(output_hw, TILE_HW, strict=True))
    pixels = TILE_HW[0] * TILE_HW[1]
    shape = (batch, tiles_x, tiles_y, channels, pixels)
    tiles = pl.pallas_call(
        partial(_write_tile, source_hw=(height, width), border=border),
        grid=shape[:3],
        in_specs=[
            pl.BlockSpec(memory_space=pltpu.SMEM),
            pl.BlockSpec((1, *planar.shape[1:]), lambda b, x, y: (b, 0, 0, 0)),
        ],
        out_specs=pl.BlockSpec((1, 1, 1, *shape[3:]), lambda b, x, y: (b, x, y, 0, 0)),
        out_shape=jax.ShapeDtypeStruct(shape, jnp.float32),
        # What a tile costs at the scale 1 without rotation; the compiler cannot count loops.
        cost_estimate=pl.CostEstimate(
            flops=batch * tiles_x * tiles_y * 4 * 2 * channels * BLOCK_HW[0] * BLOCK_HW[1] * pixels,
            bytes_accessed=planar.nbytes + 4 * batch * tiles_x * tiles_y * channels * pixels,
            transcendentals=0,
        ),
        interpret=interpret,
        name="warp",
    )(inverse.reshape(-1), planar)
    tiles = tiles.reshape(*shape[:4], TILE_HW[1], TILE_HW[0]).transpose(0, 2, 5, 1, 4, 3)
    output = tiles.reshape(batch, tiles_y * TILE_HW[0], tiles_x * TILE_HW[1], channels)
    return output[:, : output_hw[0], : output_hw[1]] + border


def _write_tile(
    inverse: jax.Array,
    source: jax.Array,
    output: jax.Array,
    *,
    source_hw: tuple[int, int],
    border: float,
) -> None:
    """Kernel: writes one tile `[C, pixels]`, of an image `source [1, C, W, H]`."""
    channels = source.shape[1]
    image, tile_x, tile_y = (pl.program_id(axis) for axis in range(3))
    pixel = jax.lax.broadcasted_iota(jnp.int32, (1, TILE_HW[0] * TILE_HW[1]), 1)
    x = jax.lax.div(pixel, TILE_HW[0]).astype(jnp.float32)
    y = jax.lax.rem(pixel, TILE_HW[0]).astype(jnp.float32)

    def axis_of_source(row: int, size: int, block: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Positions of the tile's pixels, and its first and last block + 1, along an axis."""
        by_x, by_y, shift = (inverse[6 * image + 3 * row + i] for i in range(3))
        corner = by_x * (tile_x * TILE_HW[1]).astype(jnp.float32)
        corner += by_y * (tile_y * TILE_HW[0]).astype(jnp.float32) + shift
        right, down = by_x * (TILE_HW[1] - 1.0), by_y * (TILE_HW[0] - 1.0)
        low = corner + jnp.minimum(right, 0.0) + jnp.minimum(down, 0.0)
        high = corner + jnp.maximum(right, 0.0) + jnp.maximum(down, 0.0)
        # One pixel more on both sides than the hats need, for rounding.
        low = jnp.clip(low - 2.0, 0.0, float(size)).astype(jnp.int32)
        high = jnp.clip(high + 3.0, 0.0, float(size)).astype(jnp.int32)
        position = corner + (by_x * x + by_y * y)
        return position, jax.lax.div(low, block), jax.lax.div(high + (block - 1), block)

    u, first_u, last_u = axis_of_source(0, source_hw[1], BLOCK_HW[1])
    v, first_v, last_v = axis_of_source(1, source_hw[0], BLOCK_HW[0])
    v = jnp.round(v * _FRACTIONS) * (1.0 / _FRACTIONS)

    def hat(first: jax.Array, size: int, position: jax.Array) -> jax.Array:
        """Weights `[size, pixels]` of the source's pixels from `first` on."""
        index = jax.lax.broadcasted_iota(jnp.int32, (size, position.shape[1]), 0) + first
        return jnp.maximum(1.0 - jnp.abs(index.astype(jnp.float32) - position), 0.0)

    def add_rows(block_v: jax.Array, total: jax.Array) -> jax.Array:
        first_row = pl.multiple_of(block_v * BLOCK_HW[0], BLOCK_HW[0])
        weights = hat(first_row, BLOCK_HW[0], v).astype(jnp.bfloat16)

        def add_columns(block_u: jax.Array, total: jax.Array) -> jax.Array:
            first_column = pl.multiple_of(block_u * BLOCK_HW[1], BLOCK_HW[1])
            columns, rows = pl.ds(first_column, BLOCK_HW[1]), pl.ds(first_row, BLOCK_HW[0])
            lines = _product(source[0, :, columns, rows], border, weights)
            return total + jnp.sum(lines * hat(first_column, BLOCK_HW[1], u)[None], axis=1)

        return jax.lax.fori_loop(first_u, last_u, add_columns, total)

    nothing = jnp.zeros((channels, v.shape[1]), jnp.float32)
    output[0, 0, 0] = jax.lax.fori_loop(first_v, last_v, add_rows, nothing)


def _product(block: jax.Array, border: float, weights: jax.Array) -> jax.Array:
    """`(block [C, w, h] - border) @ weights [h, pixels]`, bfloat16's products summed in float32."""
    channels, columns, rows = block.shape
    whole = block.dtype == jnp.uint8
    # A TPU converts uint8 to float32 by way of int32.
    block = (block.astype(jnp.int32) if whole else block).astype(jnp.float32) - border
    block = block.reshape(channels * columns, rows)
    multiply = partial(jnp.dot, preferred_element_type=jnp.float32)
    high = block.astype(jnp.bfloat16)
    lines = multiply(high, weights)
    if not whole:
        lines += multiply((block - high.astype(jnp.float32)).astype(jnp.bfloat16), weights)
    return lines.reshape(channels, columns, -1)
