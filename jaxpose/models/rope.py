"""Rotary position embedding of image patches, over rows and columns."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError


class Rotation(NamedTuple):
    """Sine and cosine of the angle of each token and each value of a head, `[N, d]`."""

    sin: jax.Array
    cos: jax.Array


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding (RoPE, arXiv:2104.09864) over two axes.

    One half of a head's pairs of values turns with the row of the patch, the other half with its
    column. The defaults are those of DINOv3 (arXiv:2508.10104, section 3.2) and Sapiens2
    (arXiv:2604.21681); EVA-02 (arXiv:2303.11331) and the Perception Encoder (arXiv:2504.13181)
    count patches and pair neighbours.

    Attributes:
      base: ratio of the longest period to the shortest.
      pairs: "halves" pairs value j with value j + d / 2 of a head, "neighbours" 2j with 2j + 1.
      coordinates: "separate" are the patches' centres from -1 to 1, each axis over its own number
        of patches; "min" and "max" over the smaller or the larger number; "counted" are the
        patches' indices. Centres are multiplied by 2 pi.
      axes: "yx" if the row's angles come before the column's, "xy" for the reverse.
      first: index of the first patch if patches are counted.
      reference: patches on a side of the pretraining's square grid, to which counted indices are
        stretched; 0 leaves them unchanged.
      rounded: compute the table in bfloat16, as Sapiens2's own code does by default.
    """

    base: float = 100.0
    pairs: Literal["halves", "neighbours"] = "halves"
    coordinates: Literal["separate", "min", "max", "counted"] = "separate"
    axes: Literal["yx", "xy"] = "yx"
    first: int = 0
    reference: int = 0
    rounded: bool = False

    def periods(self, head_dim: int) -> np.ndarray:
        """Period of each pair of values along one axis, `[d / 4]` float32 for heads of width d.

        Raises:
          InputError: `head_dim` is no multiple of 4.
        """
        if head_dim % 4:
            raise InputError(
                f"RoPE over two axes needs heads whose width is a multiple of 4, not {head_dim}. "
                "Change dim or heads."
            )
        exponents = np.arange(head_dim // 4) / (head_dim // 4)
        return self._rounded(self.base**exponents).astype(np.float32)

    def table(self, grid_hw: tuple[int, int], head_dim: int) -> tuple[np.ndarray, np.ndarray]:
        """Sine and cosine of all patches in rows, each `[h * w, d]` float32.

        Raises:
          InputError: as for `periods`.
        """
        periods = self.periods(head_dim).astype(np.float64)
        rows, columns = (self._coordinates(count, grid_hw) for count in grid_hw)
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
        if self.axes == "xy":
            places = places[:, ::-1]
        turns = places if self.coordinates == "counted" else self._rounded(2 * math.pi * places)
        angles = self._rounded(turns[:, :, None] / periods).reshape(len(places), -1)
        angles = np.tile(angles, 2) if self.pairs == "halves" else np.repeat(angles, 2, -1)
        sin, cos = (self._rounded(f(angles)).astype(np.float32) for f in (np.sin, np.cos))
        return sin, cos

    def rotation(
        self, grid_hw: tuple[int, int], head_dim: int, before: int, after: int
    ) -> Rotation:
        """Table for the tokens of an image: `before` and `after` the patches nothing is turned.

        Raises:
          InputError: as for `periods`.
        """
        sin, cos = self.table(grid_hw, head_dim)
        edges = ((before, after), (0, 0))
        return Rotation(
            jnp.asarray(np.pad(sin, edges)), jnp.asarray(np.pad(cos, edges, constant_values=1))
        )

    def rotate(self, x: jax.Array, rotation: Rotation) -> jax.Array:
        """Turn queries or keys `[B, N, heads, d]`, in float32; the result has the dtype of `x`."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if self.pairs == "halves":
            first, second = jnp.split(wide, 2, -1)
            turned = jnp.concatenate([-second, first], -1)
        else:
            pairs = wide.reshape(*wide.shape[:-1], -1, 2)
            turned = jnp.stack([-pairs[..., 1], pairs[..., 0]], -1).reshape(wide.shape)
        sin, cos = (part[None, :, None] for part in rotation)
        return (wide * cos + turned * sin).astype(x.dtype)

    def _coordinates(self, count: int, grid_hw: tuple[int, int]) -> np.ndarray:
        if self.coordinates == "counted":
            scale = self.reference / count if self.reference else 1
            return (np.arange(count) + self.first) * scale
        over = {"separate": count, "min": min(grid_hw), "max": max(grid_hw)}[self.coordinates]
        share = self._rounded((np.arange(count) + 0.5) / over)
        return self._rounded(2 * share - 1)

    def _rounded(self, x: np.ndarray) -> np.ndarray:
        return x.astype(jnp.bfloat16).astype(np.float64) if self.rounded else x
