"""Heatmaps of one person whose cells have the centres of the input pixels that they cover."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.heatmap import Heatmap
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.geometry import Udp


@dataclass(frozen=True)
class CellHeatmap:
    """Gaussian heatmaps `[B, h, w, K]`, as FAN's (arXiv:1703.07332).

    The centre of a cell is that of the input pixels which it covers. Scores are those of `Heatmap`,
    decoded with quarter steps.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      heatmap_hw: size of the maps.
      sigma: standard deviation of the Gaussian in heatmap pixels.
    """

    input_hw: tuple[int, int] = (256, 256)
    heatmap_hw: tuple[int, int] = (64, 64)
    sigma: float = 1.0

    def __post_init__(self) -> None:
        self._heatmap()  # refuses what it cannot be made of

    @property
    def udp(self) -> Udp:
        """Convention of the crops: sizes are distances between outermost pixel edges."""
        return "edges"

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return self._heatmap().output_shapes(num_keypoints)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets float32 `[B, h, w, K]` and weights float32 `[B, K]`.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        return self._heatmap().encode(sample._replace(keypoints=sample.keypoints - self._shift))

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode maps `[B, h, w, K]` of any floating type."""
        found = self._heatmap().decode(outputs)
        return found._replace(keypoints=found.keypoints + self._shift)

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert maps for the mirrored input to the frame of the original input."""
        return mirror_maps(outputs, permutation)

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two sets of maps in the same frame, float32."""
        mean: jax.Array = mean_of_two(a, b)
        return mean

    def maps(self, outputs: jax.Array) -> jax.Array:
        """Return the maps of the keypoints as float32."""
        return outputs.astype(jnp.float32)

    def _heatmap(self) -> Heatmap:
        """Codec of the same maps in which a cell is at the first of its input pixels."""
        return Heatmap(
            self.input_hw, self.heatmap_hw, self.sigma, udp=False, unbiased=True, refine="quarter"
        )

    @property
    def _shift(self) -> np.ndarray:
        """Distance (x, y) in input pixels from the first pixel of a cell to its centre."""
        pixels = np.asarray(self.input_hw[::-1]) / np.asarray(self.heatmap_hw[::-1])
        return ((pixels - 1) / 2).astype(np.float32)[None, None]
