"""ShuffleNetV2: as published, and with wide kernels and finer maps, as OpenPifPaf has it."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules

_STEM = 24


class ShuffleUnit(nn.Module):
    """Unit of ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164, fig. 3c and 3d).

    Attributes:
      features: channels of the output.
      stride: 2 for a unit that halves the maps, in which both branches have convolutions.
      size: side of the depthwise kernels.
      dtype: compute dtype.
    """

    features: int
    stride: int
    size: int = 5
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        half = self.features // 2
        if self.stride == 1:
            kept, x = jnp.split(x, 2, axis=-1)
        else:
            kept = self._depthwise(x, "short_depthwise", train)
            kept = self._pointwise(kept, half, "short_pointwise", train)
        x = self._pointwise(x, half, "expand", train)
        x = self._depthwise(x, "depthwise", train)
        x = self._pointwise(x, half, "pointwise", train)
        # Concatenation, and a shuffle of the channels in two groups.
        return jnp.stack([kept, x], axis=-1).reshape(*x.shape[:-1], self.features)

    def _depthwise(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        channels = x.shape[-1]
        return ConvNorm(
            *(channels, self.size, self.stride),
            groups=channels,
            activation="none",
            kernel_init_std=None,
            dtype=self.dtype,
            name=name,
        )(x, train)

    def _pointwise(self, x: jax.Array, features: int, name: str, train: bool) -> jax.Array:
        return ConvNorm(features, 1, kernel_init_std=None, dtype=self.dtype, name=name)(x, train)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164, table 5), or OpenPifPaf's.

    The defaults are OpenPifPaf's (Kreiss et al. 2021, arXiv:2103.02440, section 4.1): kernels of
    5x5, more channels and units, and no pooling, so that the maps are twice as fine.

    Attributes:
      units: number of units in each of three stages.
      channels: channels of the stages, and of the last convolution.
      size: side of the depthwise kernels, 3 as published.
      pooled: maximum over 3x3 pixels, with stride 2, after the first convolution, as published.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    units: tuple[int, int, int] = (4, 8, 4)
    channels: tuple[int, int, int, int] = (348, 696, 1392, 1392)
    size: int = 5
    pooled: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 16, W / 16, C]`, or / 32; rounded up."""
        x = images.astype(self.dtype)
        x = ConvNorm(_STEM, 3, 2, kernel_init_std=None, dtype=self.dtype, name="stem")(x, train)
        if self.pooled:
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for s, (units, channels) in enumerate(zip(self.units, self.channels[:3], strict=True)):
            for k in range(units):
                stride, name = 1 if k else 2, f"stage_{s}_unit_{k}"
                x = ShuffleUnit(channels, stride, self.size, self.dtype, name=name)(x, train)
        return ConvNorm(self.channels[3], 1, kernel_init_std=None, dtype=self.dtype, name="last")(
            x, train
        )
