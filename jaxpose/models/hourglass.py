"""Stacked hourglass: a sequence of networks, each with a path down to a coarse map and back up."""

from typing import ClassVar, Literal

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.upsample import repeat

_STEM_STRIDE = 4
Activation = Literal["relu", "none"]


class HourglassModule(nn.Module):
    """One hourglass: each level adds its own features to the enlarged ones of the level below.

    Newell et al. 2016, arXiv:1603.06937, fig. 3, with basic residual blocks, and strides in place
    of pooling, as in CornerNet (arXiv:1808.01244, section 3.5).

    Attributes:
      channels, blocks: width and number of blocks of each level, highest resolution first, and of
        the innermost map.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, channels[0]]` -> the same shape."""
        return self._level(x, 0, train)

    def _level(self, x: jax.Array, level: int, train: bool) -> jax.Array:
        own, below, count = self.channels[level], self.channels[level + 1], self.blocks[level]
        up = self._blocks(x, [own] * count, f"up_{level}", train)
        low = self._blocks(x, [below] * count, f"down_{level}", train, stride=2)
        if level + 2 < len(self.channels):
            low = self._level(low, level + 1, train)
        else:
            low = self._blocks(low, [below] * self.blocks[-1], "innermost", train)
        low = self._blocks(low, [below] * (count - 1) + [own], f"back_{level}", train)
        return up + repeat(low, 2)

    def _blocks(
        self, x: jax.Array, widths: list[int], name: str, train: bool, stride: int = 1
    ) -> jax.Array:
        for k, width in enumerate(widths):
            x = ResidualBlock(
                width, False, self.dtype, stride if k == 0 else 1, name=f"{name}_block_{k}"
            )(x, train)
        return x


class Hourglass(nn.Module):
    """Stacked hourglass backbone (Newell et al. 2016, arXiv:1603.06937).

    Attributes:
      stacks: number of hourglasses; one is "Hourglass-52", two are "Hourglass-104".
      channels: width of each level of an hourglass, highest resolution (a quarter of the image)
        first, and of the map below the last level.
      blocks: residual blocks of each level's parts, and of the innermost map.
      feature_channels: width of each stack's output.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    stacks: int = 1
    channels: tuple[int, ...] = (256, 256, 384, 384, 384, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2, 2, 4)
    feature_channels: int = 256
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem_\w+/.*",
        stages=r"(?:hourglass|output|input_again|output_again|between)_(\d+)/.*",
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> for each stack `[B, H / 4, W / 4, feature_channels]`."""
        self._check(images)
        width = self.channels[0]

        def conv(
            x: jax.Array, features: int, size: int, activation: Activation, name: str, stride=1
        ):
            return ConvNorm(
                features, size, stride, activation=activation, dtype=self.dtype, name=name
            )(x, train)

        x = conv(images.astype(self.dtype), 128, 7, "relu", "stem_conv", stride=2)
        x = ResidualBlock(width, False, self.dtype, stride=2, name="stem_block")(x, train)
        outputs = []
        for s in range(self.stacks):
            hourglass = HourglassModule(
                self.channels, self.blocks, self.dtype, name=f"hourglass_{s}"
            )
            outputs.append(
                conv(hourglass(x, train), self.feature_channels, 3, "relu", f"output_{s}")
            )
            if s < self.stacks - 1:
                x = conv(x, width, 1, "none", f"input_again_{s}") + conv(
                    outputs[-1], width, 1, "none", f"output_again_{s}"
                )
                x = ResidualBlock(width, False, self.dtype, name=f"between_{s}")(nn.relu(x), train)
        return tuple(outputs)

    def _check(self, images: jax.Array) -> None:
        if self.stacks < 1 or len(self.channels) != len(self.blocks) or len(self.channels) < 2:
            raise InputError(
                f"Hourglass needs at least one stack and channels and blocks of equal length, two "
                f"or more, but got stacks {self.stacks}, channels {self.channels} and blocks "
                f"{self.blocks}."
            )
        stride = _STEM_STRIDE * 2 ** (len(self.channels) - 1)
        if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
            raise InputError(
                f"Hourglass with {len(self.channels) - 1} levels needs images [B, H, W, 3] with H "
                f"and W multiples of {stride}, but got {list(images.shape)}."
            )
