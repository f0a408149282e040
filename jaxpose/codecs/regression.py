"""Directly regressed coordinates as fractions of the input's size."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered


@dataclass(frozen=True)
class Regression:
    """Coordinates `[B, K, 2]` divided by the size of the input, x / W and y / H (DeepPose).

    Toshev and Szegedy, arXiv:1312.4659; with a scale per coordinate, `[B, K, 4]` = (x, y, sigma_x,
    sigma_y), residual log-likelihood estimation, arXiv:2107.11291.

    The score is 1 - (sigma_x + sigma_y) / 2, or 1 where the network predicts no sigmas. `raw` is
    the same number before it is clipped to [0, 1].

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      shift_coords: True moves mirrored coordinates one pixel to the left, which is correct for
        pixel centres at integers: pixel x of W mirrors to W - 1 - x.
      udp: True if the model is trained on UDP's crops.
    """

    input_hw: tuple[int, int] = (256, 192)
    shift_coords: bool = True
    udp: bool = False

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch: without or with sigmas."""
        return ((num_keypoints, 2),), ((num_keypoints, 4),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `[B, K, 2]` and weights `[B, K]`, float32.

        A keypoint has weight 0 if it is not labelled or is outside the outermost pixel centres;
        coordinates that are not finite become 0.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        points = sample.keypoints.astype(jnp.float32)
        last = self._size - 1
        inside = jnp.all((points >= 0) & (points <= last), axis=-1)
        weights = sample.weights() * inside.astype(jnp.float32)
        return Targets(jnp.where(jnp.isfinite(points), points, 0.0) / self._size, weights)

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode keypoints from `[B, K, 2]` or, with sigmas in (0, 1), `[B, K, 4]`.

        Raises:
          InputError: the last axis has a different size.
        """
        values = outputs.astype(jnp.float32)
        columns = values.shape[-1]
        if columns not in (2, 4):
            raise InputError(
                f"Outputs of shape {values.shape} are no coordinates: the last axis has to be "
                "(x, y) or (x, y, sigma_x, sigma_y)."
            )
        if columns == 4:
            raw = jnp.mean(1.0 - values[..., 2:], axis=-1)
        else:
            raw = jnp.ones(values.shape[:-1], jnp.float32)
        there = jnp.ones(raw.shape, bool)
        return Decoded(values[..., :2] * self._size, jnp.clip(raw, 0.0, 1.0), raw, there)

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert outputs for the mirrored input to the original frame; see `shift_coords`."""
        swapped = reordered(outputs, permutation, axis=1)
        edge = 1.0 - (1.0 / self.input_hw[1] if self.shift_coords else 0.0)
        return jnp.concatenate([edge - swapped[..., :1], swapped[..., 1:]], axis=-1)

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    @property
    def _size(self) -> jax.Array:
        """Size (W, H), with a shape that broadcasts over `[B, K, 2]`."""
        return jnp.asarray(self.input_hw[::-1], jnp.float32)[None, None]
