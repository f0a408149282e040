"""Attention from the features of one frame to those of its neighbours, for any backbone."""

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import ParameterRules


class TemporalHead(nn.Module):
    """Head that adds to the current frame's features what attention finds in all frames.

    Each pixel of the current frame attends to all pixels of all frames (Vaswani et al. 2017,
    arXiv:1706.03762, eq. 1), with an encoding of the time between frames. The logits fall with the
    distance of two pixels, d^2 / (2 r^2), with a learned reach r for each attention head; the first
    ones are 1, 2, 4, ... pixels. The sum goes through `head`. The added part is 0 in a fresh model,
    which is then that of one frame.

    Attributes:
      head: any head from a map of features, such as `DeconvHead`.
      times: of the frames; the current one comes first.
      width: channels of the attention.
      heads: number of attention heads.
      stride: side of the squares of pixels whose mean attends and is attended to; 1 for pixels.
      dtype: compute dtype.
    """

    head: nn.Module
    times: tuple[float, ...] = (0.0, -1.0, 1.0)
    width: int = 64
    heads: int = 4
    stride: int = 1
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"head/final/.*")

    @property
    def num_keypoints(self) -> int:
        """Number of keypoints of `head`, K."""
        return int(getattr(self.head, "num_keypoints"))  # noqa: B009

    @nn.compact
    def __call__(self, features: jax.Array, times: jax.Array, train: bool = False) -> Any:
        """Features `[B, F, h, w, C]`, times `[B, F]` -> the outputs of `head`.

        Raises:
          InputError: the map is no multiple of `stride`, or `width` none of `heads`.
        """
        batch, frames, height, width, channels = features.shape
        step, dim = self.stride, self.width
        if height % step or width % step or dim % self.heads:
            raise InputError(
                f"TemporalHead needs a map of multiples of stride {step}, not {height}x{width}, "
                f"and a width of multiples of the {self.heads} heads, not {dim}."
            )
        rows, columns = height // step, width // step
        small = features.reshape(batch, frames, rows, step, columns, step, channels)
        small = small.mean(axis=(3, 5)).reshape(batch, frames, rows * columns, channels)
        small = nn.LayerNorm(dtype=self.dtype, name="norm")(small)
        angles = times[..., None] * jnp.asarray([0.25, 0.5, 1.0, 2.0])[None, None]
        waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
        when = nn.Dense(dim, dtype=self.dtype, name="time")(waves)
        query = nn.Dense(dim, dtype=self.dtype, name="query")(small[:, 0])
        keys = nn.Dense(dim, dtype=self.dtype, name="key")(small)
        keys = keys + when[:, :, None]
        values = nn.Dense(dim, dtype=self.dtype, name="value")(small)
        reach = self.param("reach", lambda _: jnp.arange(self.heads, dtype=jnp.float32))
        nearness = -_square_distances(rows, columns) / (2 * 4.0 ** reach[:, None, None])
        found = self._attention(
            query,
            keys.reshape(batch, -1, dim),
            values.reshape(batch, -1, dim),
            jnp.tile(nearness, (1, 1, frames)),
        )
        zeros = nn.initializers.zeros_init()
        more = nn.Dense(channels, dtype=self.dtype, kernel_init=zeros, name="out")(found)
        more = more.reshape(batch, rows, columns, channels)
        more = jnp.repeat(jnp.repeat(more, step, axis=1), step, axis=2)
        return self.head(features[:, 0] + more.astype(features.dtype), train)

    def _attention(
        self, query: jax.Array, keys: jax.Array, values: jax.Array, nearness: jax.Array
    ) -> jax.Array:
        """Attention of `[B, Q, D]` to keys and values `[B, N, D]`; returns `[B, Q, D]`.

        `nearness`: `[heads, Q, N]`, added to the logits.
        """
        each = self.width // self.heads

        def split(x: jax.Array) -> jax.Array:
            return x.reshape(*x.shape[:2], self.heads, each)

        logits = jnp.einsum(
            "bqhd,bnhd->bhqn", split(query), split(keys), preferred_element_type=jnp.float32
        )
        logits = logits / math.sqrt(each) + nearness[None]
        shares = jax.nn.softmax(logits, axis=-1).astype(values.dtype)
        return jnp.einsum("bhqn,bnhd->bqhd", shares, split(values)).reshape(query.shape)


def _square_distances(rows: int, columns: int) -> np.ndarray:
    """Squared distances of all pixels of a map, float32 `[1, rows * columns, rows * columns]`."""
    grid = np.stack(np.divmod(np.arange(rows * columns), columns), axis=-1)
    apart = grid[:, None] - grid[None]
    return np.asarray((apart**2).sum(axis=-1)[None], np.float32)
