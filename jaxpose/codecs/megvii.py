"""Heatmaps of Megvii's models: one blurred pixel of height 255 for each keypoint."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.refine import gaussian_taps, highest, modulate, quarter_step
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import values_at

_PEAK = 255.0


@dataclass(frozen=True)
class Megvii:
    """Heatmaps `[B, h, w, K]` of CPN (arXiv:1711.07319), MSPN and RSN (arXiv:2003.04030).

    The score is the highest value of the map divided by 255, clipped to [0, 1]; `raw` is that value
    before the division. A map without a positive value has no keypoint: it decodes to heatmap
    position (-1, -1) and score 0. Of equal highest values the first in row-major order is taken.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      heatmap_hw: size of the maps.
      kernel_size: number of taps of the Gaussian that makes the targets and smooths outputs before
        they are decoded; it determines the width (`jaxpose.codecs.refine.gaussian_taps`).
    """

    input_hw: tuple[int, int] = (256, 192)
    heatmap_hw: tuple[int, int] = (64, 48)
    kernel_size: int = 11

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size is {self.kernel_size}; it must be odd and positive.")
        if self.kernel_size // 2 >= min(self.heatmap_hw):
            raise InputError(
                f"kernel_size {self.kernel_size} reaches across heatmap_hw {self.heatmap_hw}; "
                "half of it has to be less than the shorter side."
            )

    @property
    def udp(self) -> bool:
        """Always False: sizes are counted in pixels."""
        return False

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (((*self.heatmap_hw, num_keypoints),),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets float32 `[B, h, w, K]` and weights float32 `[B, K]`.

        The pixel that contains the keypoint is blurred, with the map mirrored at its border, and
        the result is scaled so that this pixel is 255. A keypoint that is not labelled or is
        outside the map has weight 0 and an empty map.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        height, width = self.heatmap_hw
        stride = jnp.asarray(self._stride, jnp.float32)[None, None]
        pixel = jnp.trunc(sample.keypoints.astype(jnp.float32) / stride)
        size = jnp.asarray([width, height], jnp.float32)[None, None]
        inside = jnp.all((pixel >= 0) & (pixel < size), axis=-1)
        weights = sample.weights() * inside.astype(jnp.float32)
        known = weights > 0
        # `where` instead of a product with the weight: an unlabelled keypoint may be NaN.
        pixel = jnp.where(known[..., None], pixel, 0).astype(jnp.int32)
        columns = self._blurred_pixel(pixel[..., 0], width)
        rows = jnp.where(known[:, None], self._blurred_pixel(pixel[..., 1], height), 0.0)
        return Targets(_PEAK * rows[:, :, None, :] * columns[:, None, :, :], weights)

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode maps `[B, h, w, K]` of any floating type; see the class for the scores.

        The position is the highest pixel of the smoothed map. Away from the border, a quarter of a
        pixel towards the higher neighbours is added, and half a pixel, to the middle of the area
        that the pixel covers.
        """
        taps = gaussian_taps(self.kernel_size)  # as in `encode`
        maps = modulate(outputs.astype(jnp.float32), self.kernel_size, axes=(1, 2), taps=taps)
        height, width = maps.shape[1:3]
        x, y, raw = highest(maps)
        inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
        steps = (jnp.where(inside, step + 0.5, 0.0) for step in quarter_step(maps, x, y))
        position = jnp.stack([x, y], axis=-1) + jnp.stack(list(steps), axis=-1)
        position = jnp.where((raw > 0)[..., None], position, -1.0)
        keypoints = position * jnp.asarray(self._stride, jnp.float32)[None, None]
        return Decoded(keypoints, jnp.clip(raw / _PEAK, 0.0, 1.0), raw, raw > 0)

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert maps `[B, h, w, K]` for the mirrored input to the frame of the original input.

        A target marks the pixel that contains the keypoint, so mirrored maps need no shift.
        """
        return mirror_maps(outputs, permutation)

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two sets of maps in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: jax.Array) -> jax.Array:
        """Return the maps as float32."""
        return outputs.astype(jnp.float32)

    @property
    def _stride(self) -> tuple[float, float]:
        """Input pixels per heatmap pixel (x, y)."""
        return (
            self.input_hw[1] / self.heatmap_hw[1],
            self.input_hw[0] / self.heatmap_hw[0],
        )

    def _blurred_pixel(self, pixel: jax.Array, length: int) -> jax.Array:
        """Blur int32 `pixel` `[B, K]` on a line: `[B, length, K]`, 1 at that pixel."""
        half = self.kernel_size // 2
        place = jnp.arange(length)[None, :, None]
        pixel = pixel[:, None, :]

        def weight(source: jax.Array) -> jax.Array:
            # A sum with one value that is not zero, because a TPU looks up one element at a time.
            tap = place - source + half
            values = enumerate(gaussian_taps(self.kernel_size).astype(np.float32))
            return sum((jnp.where(tap == i, v, 0.0) for i, v in values), start=jnp.zeros(()))

        # Mirror images of the pixel about the first and the last place, unless it is there itself.
        low, high = -pixel, 2 * (length - 1) - pixel
        line = weight(pixel)
        line += jnp.where(low == pixel, 0.0, weight(low))
        line += jnp.where(high == pixel, 0.0, weight(high))
        return line / values_at(line, pixel, axis=1)


@dataclass(frozen=True)
class MegviiCoarseToFine(Megvii):
    """`Megvii` with wider targets for the coarser of a model's maps (MSPN, arXiv:1901.00148, 3.3).

    A model in training gives a tuple of maps of one size. The loss is `LossOfEach`. In prediction
    the model gives the last of them, which is decoded as in `Megvii`.

    Attributes:
      kernel_sizes: numbers of taps of the Gaussian of the targets, one for each output; the last
        one must be `kernel_size`, with which outputs are smoothed before they are decoded.
    """

    kernel_sizes: tuple[int, ...] = (15, 11, 9, 7, 15, 11, 9, 7, 15, 11, 9, 7, 11, 9, 7, 5)
    kernel_size: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernel_sizes or self.kernel_sizes[-1] != self.kernel_size:
            raise InputError(
                f"The last of kernel_sizes {self.kernel_sizes} must be kernel_size, which is "
                f"{self.kernel_size}."
            )
        self._of_each()

    def encode(self, sample: Sample) -> Targets:
        """Encode a tuple of targets float32 `[B, h, w, K]`, and weights float32 `[B, K]`.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        made = {size: codec.encode(sample) for size, codec in self._of_each().items()}
        # The pixel of a keypoint, and with it the weight, does not depend on the kernel.
        return Targets(
            tuple(made[size].values for size in self.kernel_sizes), made[self.kernel_size].weights
        )

    def _of_each(self) -> dict[int, Megvii]:
        return {
            size: Megvii(self.input_hw, self.heatmap_hw, size) for size in set(self.kernel_sizes)
        }
