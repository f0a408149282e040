"""Tokens of keypoints: what a feature map has at each keypoint's place, and where that is."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Factor on a heatmap of values up to 1 before the softmax over its places. exp(30 * 0.5) is far
# above the number of places, so that a clear peak takes nearly all of the weight.
_SHARPNESS = 30.0


class PartTokens(NamedTuple):
    """Findings of each keypoint.

    Attributes:
      features: `[B, K, C]` mean of the map.
      places: `[B, K, 2]` mean place, x and y from -1 to 1.
      peaks: `[B, K, 1]` mean of the heatmap.
    """

    features: jax.Array
    places: jax.Array
    peaks: jax.Array


def part_tokens(features: jax.Array, heatmaps: jax.Array) -> PartTokens:
    """Compute means over a map `[B, h, w, C]`, weighted by the softmax of heatmaps `[B, h, w, K]`.

    This is the attention to parts of PARE (Kocabas et al. 2021, arXiv:2104.08527).
    """
    batch, height, width, count = heatmaps.shape
    values = features.reshape(batch, height * width, -1).astype(jnp.float32)
    flat = heatmaps.reshape(batch, height * width, count).astype(jnp.float32)
    weights = jax.nn.softmax(_SHARPNESS * flat, axis=1)
    rows, columns = jnp.meshgrid(
        jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij"
    )
    places = jnp.stack([columns.ravel(), rows.ravel()], axis=-1)
    return PartTokens(
        jnp.einsum("bpk,bpc->bkc", weights, values),
        jnp.einsum("bpk,pc->bkc", weights, places),
        (weights * flat).sum(axis=1)[..., None],
    )
