"""Feature pyramid over a pretrained trunk: a top-down path to one map of high resolution."""

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.pyramid import Block
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
      blocks: number of residual blocks (`pyramid.Block`) after each map of the path.
      patches: True adds to the finest map a projection of the image's pixels under each of its
        places: details that a trunk with frozen first layers may lack.
      trunk_norm: True normalises the trunk by the statistics of the batch in training. False keeps
        its running statistics, as detectors do with pretrained backbones of small batches. Weights
        whose norms are folded into the convolutions need False: their statistics are lost.
      path_norm: False keeps the running statistics of the path, too, for pretrained paths and
        batches of a few images.
      bgr: True for a trunk that was trained with the channels in the order blue, green, red, as the
        detectors of `models.published` are. The pyramid itself always takes RGB.
      dtype: compute dtype of the path.
    """

    trunk: nn.Module
    width: int = 64
    blocks: int = 0
    patches: bool = False
    trunk_norm: bool = False
    path_norm: bool = True
    bgr: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, h, w, width]`, on the grid of the finest map.

        Raises:
          InputError: the trunk returns one map.
        """
        maps = self.trunk(images[..., ::-1] if self.bgr else images, train and self.trunk_norm)
        if not isinstance(maps, tuple):
            raise InputError(
                "FeaturePyramid needs a trunk that returns several maps: give the trunk more "
                "`outputs`."
            )
        pixels = _pixels(images, maps[0].shape[1:3]) if self.patches else None
        by_batch = train and self.path_norm
        return _top_down(maps, self.width, self.dtype, by_batch, self.blocks, pixels)[0]


class PyramidNeck(nn.Module):
    """The path of `FeaturePyramid` as a neck: it returns the maps of all sizes.

    Attributes:
      width: channels of every map that it returns.
      dtype: compute dtype.
    """

    width: int = 48
    dtype: str = "float32"

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps by increasing stride -> the same number of maps `[B, h, w, width]`."""
        return tuple(_top_down(maps, self.width, self.dtype, train))


class FixedStatistics(nn.Module):
    """Trunk whose batch norms keep their running statistics in training.

    The scales and biases of the norms are trained. See `FeaturePyramid.trunk_norm`.
    """

    trunk: nn.Module

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """Images `[B, H, W, 3]` -> the maps of the trunk."""
        return self.trunk(images, False)


def _pixels(images: jax.Array, hw: tuple[int, int]) -> jax.Array:
    """Images `[B, H, W, 3]` -> `[B, h, w, C]`, the pixels under each place of a map."""
    batch, height, width, _ = images.shape
    rows, columns = height // hw[0], width // hw[1]
    x = images.reshape(batch, hw[0], rows, hw[1], columns, 3)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, *hw, rows * columns * 3)


def _top_down(
    maps: tuple[jax.Array, ...],
    width: int,
    dtype: str,
    train: bool,
    blocks: int = 0,
    pixels: jax.Array | None = None,
) -> list[jax.Array]:
    """Maps by increasing stride -> maps `[B, h, w, width]` of the same sizes.

    Call it in a compact method: the convolutions become those of the module.

    Args:
      maps: maps of the trunk.
      width: channels of the path.
      dtype: compute dtype.
      train: whether norms use the statistics of the batch.
      blocks: as in `FeaturePyramid`.
      pixels: `[B, h, w, C]`, which a projection adds to the finest map; None for none.
    """

    def conv(x: jax.Array, size: int, name: str) -> jax.Array:
        layer = ConvNorm(
            width, size, activation="none", kernel_init_std=None, dtype=dtype, name=name
        )
        return layer(x, train)

    def refined(x: jax.Array, i: int) -> jax.Array:
        for k in range(blocks):
            x = Block(dtype, name=f"block_{i}_{k}")(x, train)
        return x

    last = len(maps) - 1
    path = [refined(nn.relu(conv(maps[-1], 1, f"lateral_{last}")), last)]
    for i in reversed(range(last)):
        x = repeat(path[0], 2) + conv(maps[i], 1, f"lateral_{i}")
        if i == 0 and pixels is not None:
            x = x + conv(pixels, 1, "pixels")
        path.insert(0, refined(nn.relu(conv(nn.relu(x), 3, f"merge_{i}")), i))
    return path
