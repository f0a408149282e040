"""What a network's outputs look like as maps over its input, to be shown to people."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.codecs.codec import Codec
from jaxpose.codecs.heatmap import Heatmap
from jaxpose.codecs.integral import IntegralRegression
from jaxpose.codecs.megvii import Megvii
from jaxpose.codecs.simcc import SimCC


def has_maps(codec: Codec) -> bool:
    """Whether the codec's outputs say of each place how likely it is, not just where a point is."""
    return isinstance(codec, Heatmap | Megvii | IntegralRegression | SimCC)


def as_maps(codec: Codec, outputs: Any) -> jax.Array:
    """Maps float32 `[B, h, w, K]` of a network's outputs, at any scale.

    Heatmaps are what they are. Of SimCC's two axes, the outer product of their probabilities, a
    cell for each input pixel, with the likeliest of its bins.

    Args:
      codec: one that `has_maps`; its `udp` says how cells lie on the input.
      outputs: what `codec.decode` takes.
    """
    if isinstance(codec, SimCC):
        x, y = (
            _pooled(jax.nn.softmax(codec.beta * vector.astype(jnp.float32), axis=-1), side)
            for vector, side in zip(outputs, codec.input_hw[::-1], strict=True)
        )
        return jnp.einsum("bky,bkx->byxk", y, x)
    maps = outputs[1] if isinstance(codec, IntegralRegression) else outputs
    return maps.astype(jnp.float32)


def _pooled(vectors: jax.Array, cells: int) -> jax.Array:
    """`[B, K, N]` -> `[B, K, cells]`: the highest of the values that begin in each cell."""
    count = vectors.shape[-1]
    cell = (jnp.arange(count) * cells) // count
    highest = jax.ops.segment_max(vectors.transpose(2, 0, 1), cell, num_segments=cells)
    return jnp.maximum(highest, 0.0).transpose(1, 2, 0)  # where no bin begins: minus infinity
