"""Feature pyramid over a pretrained trunk: a top-down path to one map of high resolution."""

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.upsample import repeat


class FeaturePyramid(nn.Module):
    """Trunk with several maps, and the path from its coarsest map up to its finest.

    Feature Pyramid Networks (Lin et al. 2017, arXiv:1612.03144, fig. 3): nearest enlargement plus a
    1x1 projection of the trunk's map of that size, then a 3x3 convolution. Batch norm follows each
    convolution, ReLU each sum and each 3x3 convolution. The path has dense convolutions, which are
    faster than depthwise ones on CPUs.

    Attributes:
      trunk: backbone that returns a tuple of maps, each of half the size of the one before, such as
        `CSPNeXt(outputs=(2, 3, 4))`.
      width: channels of the path and of the output.
      trunk_norm: True normalises the trunk by the statistics of the batch in training. False keeps
        its running statistics, as detectors do with pretrained backbones of small batches. Weights
        whose norms are folded into the convolutions need False: their statistics are lost.
      bgr: True for a trunk that was trained with the channels in the order blue, green, red, as the
        detectors of `models.published` are. The pyramid itself always takes RGB.
      dtype: compute dtype of the path.
    """

    trunk: nn.Module
    width: int = 64
    trunk_norm: bool = False
    bgr: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, h, w, width]`, on the grid of the finest map.

        Raises:
          InputError: the trunk returns one map.
        """
        images = images[..., ::-1] if self.bgr else images
        maps = self.trunk(images, train and self.trunk_norm)
        if not isinstance(maps, tuple):
            raise InputError(
                "FeaturePyramid needs a trunk that returns several maps: give the trunk more "
                "`outputs`."
            )
        x = self._conv(1, f"lateral_{len(maps) - 1}")(maps[-1], train)
        x = nn.relu(x)
        for i in reversed(range(len(maps) - 1)):
            x = nn.relu(repeat(x, 2) + self._conv(1, f"lateral_{i}")(maps[i], train))
            x = nn.relu(self._conv(3, f"merge_{i}")(x, train))
        return x

    def _conv(self, size: int, name: str) -> ConvNorm:
        return ConvNorm(
            self.width,
            size,
            activation="none",
            kernel_init_std=None,
            dtype=self.dtype,
            name=name,
        )
