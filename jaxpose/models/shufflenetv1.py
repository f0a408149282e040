"""ShuffleNetV1: units of grouped 1x1 convolutions whose channels are shuffled between groups."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules

_STEM = 24


class ShuffleUnitV1(nn.Module):
    """Unit of ShuffleNet (Zhang et al. 2018, arXiv:1707.01083, fig. 2b and 2c).

    Attributes:
      features: channels of the output.
      stride: 2 for a unit that halves the maps: its input, averaged, becomes a part of the output.
      groups: groups of both 1x1 convolutions.
      first_groups: groups of the first one; 1 for the first unit of all.
      dtype: compute dtype.
    """

    features: int
    stride: int
    groups: int
    first_groups: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        inner = self.features // 4
        added = self.features - (x.shape[-1] if self.stride > 1 else 0)

        def conv(x: jax.Array, width: int, size: int, groups: int, name: str) -> jax.Array:
            return ConvNorm(
                width,
                size,
                self.stride if size == 3 else 1,
                groups=groups,
                activation="relu" if name == "compress" else "none",
                kernel_init_std=None,
                dtype=self.dtype,
                name=name,
            )(x, train)

        y = conv(x, inner, 1, self.first_groups, "compress")
        y = conv(y, inner, 3, inner, "depthwise")
        # Published weights are of a shuffle after the depthwise convolution; the paper's is before.
        shape = y.shape
        y = y.reshape(*shape[:-1], self.groups, inner // self.groups).swapaxes(-1, -2)
        y = conv(y.reshape(shape), added, 1, self.groups, "expand")
        if self.stride == 1:
            return nn.relu(x + y)
        x = nn.avg_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        return nn.relu(jnp.concatenate([x, y], axis=-1))


class ShuffleNetV1(nn.Module):
    """ShuffleNet (Zhang et al. 2018, arXiv:1707.01083, table 1) for three groups.

    Attributes:
      units: number of units in each of three stages.
      channels: channels of the stages.
      groups: groups of the 1x1 convolutions.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    units: tuple[int, int, int] = (4, 8, 4)
    channels: tuple[int, int, int] = (240, 480, 960)
    groups: int = 3
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, C]`, rounded up."""
        x = images.astype(self.dtype)
        x = ConvNorm(_STEM, 3, 2, kernel_init_std=None, dtype=self.dtype, name="stem")(x, train)
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for s, (units, channels) in enumerate(zip(self.units, self.channels, strict=True)):
            for k in range(units):
                first = 1 if s == k == 0 else self.groups
                x = ShuffleUnitV1(
                    *(channels, 1 if k else 2, self.groups, first, self.dtype),
                    name=f"stage_{s}_unit_{k}",
                )(x, train)
        return x
