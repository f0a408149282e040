"""Depth of the landmarks of a face, from a crop and the landmarks' places in it."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.resnet import ResNet

INPUT_HW = (256, 256)
_REACH = 6  # pixels of a Gaussian beside its middle
_DEVIATION = 0.25 * (2 * _REACH + 1)
_POOLED = 7


class FaceDepth(nn.Module):
    """Residual network of face-alignment's 3D landmarks, which FAN's places complete.

    Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?",
    ICCV 2017, section 6.1; the published weights are a ResNet-152, whose first convolution has
    channels for the landmarks too.

    Attributes:
      num_keypoints: number of landmarks.
      blocks: residual blocks of each stage.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    num_keypoints: int = 68
    blocks: tuple[int, ...] = (3, 8, 36, 3)
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*")

    @nn.compact
    def __call__(self, images: jax.Array, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """Compute depths `[B, K]` in pixels of the crop, float32, as published.

        Args:
          images: `[B, 256, 256, 3]` RGB in [0, 1].
          keypoints: `[B, K, 2]` in pixels of the crop, pixel centres at integers.

        Raises:
          InputError: arrays of another shape.
        """
        number = images.shape[0]
        wanted = [(number, *INPUT_HW, 3), (number, self.num_keypoints, 2)]
        if [images.shape, keypoints.shape] != wanted:
            raise InputError(
                f"FaceDepth needs images and keypoints of the shapes {wanted}, not "
                f"{[images.shape, keypoints.shape]}."
            )
        maps = landmark_maps(keypoints)
        x = jnp.concatenate([images.astype(self.dtype), maps.astype(self.dtype)], axis=-1)
        cells: Any = ResNet(blocks=self.blocks, dtype=self.dtype, name="backbone")(x, train)
        # The published mean is over 7 x 7 of the 8 x 8 cells: the last row and column are left out.
        x = cells[:, :_POOLED, :_POOLED].astype(jnp.float32).mean(axis=(1, 2))
        return nn.Dense(self.num_keypoints, name="linear")(x)


def landmark_maps(keypoints: jax.Array) -> jax.Array:
    """Gaussians `[B, 256, 256, K]` of landmarks `[B, K, 2]` in pixels of the crop, float32.

    Each is 13 pixels wide, with a standard deviation of 3.25 pixels about a whole pixel, and 1 in
    the middle. As published, a landmark near the left or the upper border has its Gaussian moved
    by the cells that are cut off, and one on the left of the crop has none.
    """
    points = jnp.asarray(keypoints, jnp.float32)
    # Published places count pixels from 1 and are half a pixel further.
    places = points + 0.5
    first = jnp.floor(places - _REACH)
    last = jnp.floor(places + _REACH)
    across, down = (
        _profile(first[..., axis], last[..., axis], size)
        for axis, size in ((0, INPUT_HW[1]), (1, INPUT_HW[0]))
    )
    drawn = places[..., :1] > 0
    return jnp.einsum("bky,bkx->byxk", down, jnp.where(drawn, across, 0.0))


def _profile(first: jax.Array, last: jax.Array, size: int) -> jax.Array:
    """Values `[B, K, size]` along an axis, whose Gaussian goes from pixel `first` to `last`."""
    first, last = first[..., None], last[..., None]
    pixels = np.arange(1, size + 1, dtype=np.float32)[None, None]
    cells = pixels + jnp.maximum(1, -first) - jnp.maximum(1, first)
    values = jnp.exp(-(((cells - _REACH - 1) / _DEVIATION) ** 2) / 2)
    inside = (pixels >= first) & (pixels <= last)
    return jnp.where(inside, values, 0.0)
