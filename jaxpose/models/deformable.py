"""Deformable attention over several maps (Deformable DETR, Zhu et al. 2021, arXiv:2010.04159)."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class DeformableAttention(nn.Module):
    """Attention of queries to a few points of each map, whose offsets the query determines.

    Attributes:
      heads: attention heads.
      points: points of each head on each map.
    """

    heads: int = 8
    points: int = 4

    @nn.compact
    def __call__(
        self,
        query: jax.Array,
        memory: jax.Array,
        reference: jax.Array,
        sizes: tuple[tuple[int, int], ...],
    ) -> jax.Array:
        """Attend from `[B, Q, D]` to memory `[B, N, D]`; returns `[B, Q, D]`.

        Args:
          query: queries with their positions.
          memory: pixels of all maps, map by map and row by row.
          reference: `[B, Q, 2]` (x, y) or `[B, Q, 4]` (x, y, w, h) as shares of the maps; offsets
            are in pixels of each map, or in shares of half of the box.
          sizes: static; height and width of each map.
        """
        batch, count, dim = query.shape
        levels, heads, points = len(sizes), self.heads, self.points
        value = nn.Dense(dim, name="value")(memory).reshape(batch, -1, heads, dim // heads)
        offsets = nn.Dense(heads * levels * points * 2, name="offsets")(query)
        offsets = offsets.reshape(batch, count, heads, levels, points, 2)
        weights = nn.Dense(heads * levels * points, name="weights")(query)
        weights = nn.softmax(weights.reshape(batch, count, heads, levels * points), axis=-1)
        weights = weights.reshape(batch, count, heads, levels, points)
        center = reference[:, :, None, None, :2]
        mixed, start = jnp.zeros((batch, count, heads, dim // heads)), 0
        for level, (height, width) in enumerate(sizes):
            if reference.shape[-1] == 2:
                step = offsets[:, :, :, level] / jnp.array([width, height], jnp.float32).reshape(
                    1, 1, 1, 1, 2
                )
            else:
                size = reference[:, :, None, None, 2:]
                step = offsets[:, :, :, level] / points * size * 0.5
            pixels = value[:, start : start + height * width]
            sampled = bilinear(pixels, center + step, (height, width))
            mixed = mixed + (sampled * weights[:, :, :, level, :, None]).sum(axis=3)
            start += height * width
        return nn.Dense(dim, name="out")(mixed.reshape(batch, count, dim))


def bilinear(values: jax.Array, places: jax.Array, hw: tuple[int, int]) -> jax.Array:
    """Sample a map at places in [0, 1], where 0 and 1 are its outer edges; zeros outside.

    Args:
      values: `[B, h * w, heads, D]`.
      places: `[B, Q, heads, P, 2]` (x, y).
      hw: static; height and width of the map.

    Returns:
      `[B, Q, heads, P, D]`.
    """
    height, width = hw
    batch, count, heads, points, _ = places.shape
    size = jnp.array([width, height], jnp.float32).reshape(1, 1, 1, 1, 2)
    at = places * size - 0.5
    low = jnp.floor(at)
    share = at - low
    flat = values.transpose(0, 2, 1, 3)  # [B, heads, h w, D]
    total = jnp.zeros((batch, count, heads, points, values.shape[-1]), values.dtype)
    for down in (0, 1):
        for right in (0, 1):
            column, row = low[..., 0] + right, low[..., 1] + down
            weight = (share[..., 0] if right else 1 - share[..., 0]) * (
                share[..., 1] if down else 1 - share[..., 1]
            )
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
            index = index.astype(jnp.int32).transpose(0, 2, 1, 3).reshape(batch, heads, -1, 1)
            found = jnp.take_along_axis(flat, index, axis=2)
            found = found.reshape(batch, heads, count, points, -1).transpose(0, 2, 1, 3, 4)
            total = total + jnp.where(inside, weight, 0.0)[..., None] * found
    return total
