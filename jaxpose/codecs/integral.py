"""Integral regression: a heatmap and its expectation, the coordinates, are both supervised."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.heatmap import Heatmap
from jaxpose.codecs.regression import Regression
from jaxpose.codecs.sample import Sample, Targets

Pair = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class IntegralRegression:
    """Targets of integral regression and DSNT: coordinates `[B, K, 2]`, heatmaps `[B, h, w, K]`.

    arXiv:1711.08229 and arXiv:1801.07372. Coordinates are those of `jaxpose.codecs.Regression`, and
    only they are decoded; scores are 1.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      heatmap_hw: size of the maps.
      sigma: standard deviation of the Gaussian targets in heatmap pixels.
      normalize: divide each target map by its sum, for outputs that are distributions.
      unbiased: True centres targets between pixels, False on the nearest pixel.
      shift_coords: as in `jaxpose.codecs.Regression`.
    """

    input_hw: tuple[int, int] = (256, 192)
    heatmap_hw: tuple[int, int] = (64, 48)
    sigma: float = 2.0
    normalize: bool = True
    unbiased: bool = False
    shift_coords: bool = True

    def __post_init__(self) -> None:
        # Making the two codecs checks the attributes.
        _ = self._maps, self._coordinates

    @property
    def udp(self) -> bool:
        """Always False: sizes are counted in pixels."""
        return False

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (((num_keypoints, 2), (*self.heatmap_hw, num_keypoints)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets (coordinates `[B, K, 2]`, heatmaps `[B, h, w, K]`), weights `[B, K]`.

        All are float32. Weights are those of the coordinates, so a keypoint just outside the input
        has weight 0 although its map is not empty.
        """
        maps, _ = self._maps.encode(sample)
        coordinates, weights = self._coordinates.encode(sample)
        if self.normalize:
            total = jnp.sum(maps, axis=(1, 2), keepdims=True)
            maps = maps / jnp.where(total > 0, total, 1.0)
        return Targets((coordinates, maps), weights)

    def decode(self, outputs: Pair) -> Decoded:
        """Decode keypoints from the coordinates; the heatmaps are not used."""
        return self._coordinates.decode(outputs[0])

    def flip_back(self, outputs: Pair, permutation: Any) -> Pair:
        """Convert outputs for the mirrored input to the frame of the original input."""
        coordinates, maps = outputs
        return (
            self._coordinates.flip_back(coordinates, permutation),
            self._maps.flip_back(maps, permutation),
        )

    def average(self, a: Pair, b: Pair) -> Pair:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: Pair) -> jax.Array:
        """Return the heatmaps as float32."""
        return outputs[1].astype(jnp.float32)

    @property
    def _coordinates(self) -> Regression:
        return Regression(self.input_hw, self.shift_coords)

    @property
    def _maps(self) -> Heatmap:
        return Heatmap(
            self.input_hw, self.heatmap_hw, self.sigma, udp=False, unbiased=self.unbiased
        )
