"""Heatmaps of one person with one map more, of the places without a keypoint."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.cell_heatmap import CellHeatmap
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets


@dataclass(frozen=True)
class HeatmapWithBackground(CellHeatmap):
    """Gaussian heatmaps `[B, h, w, K + 1]`, the last of which is 1 minus the highest of the others.

    The convention of convolutional pose machines (arXiv:1602.00134, section 3.2.1) and OpenPose's
    hands and faces. The background has no part in decoding. The rest is as in `CellHeatmap`.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      heatmap_hw: size of the maps.
      sigma: standard deviation of the Gaussian in heatmap pixels.
    """

    input_hw: tuple[int, int] = (368, 368)
    heatmap_hw: tuple[int, int] = (46, 46)
    sigma: float = 7 / 8

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return super().output_shapes(num_keypoints + 1)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets float32 `[B, h, w, K + 1]` and weights float32 `[B, K + 1]`.

        The background has weight 1 where a keypoint has a weight.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        maps, weights = super().encode(sample)
        background = 1.0 - maps.max(axis=-1, keepdims=True)
        own = (weights > 0).any(axis=-1, keepdims=True).astype(weights.dtype)
        return Targets(
            jnp.concatenate([maps, background], axis=-1), jnp.concatenate([weights, own], axis=-1)
        )

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode maps `[B, h, w, K + 1]` of any floating type."""
        return super().decode(outputs[..., :-1])

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert maps for the mirrored input to the frame of the original input."""
        order = np.append(np.asarray(permutation), len(permutation))
        return super().flip_back(outputs, order)

    def maps(self, outputs: jax.Array) -> jax.Array:
        """Return the maps of the keypoints as float32."""
        return super().maps(outputs[..., :-1])
