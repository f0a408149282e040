"""MobileNetV2: inverted residuals with linear bottlenecks."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.models.conv import ConvNorm, Norm
from jaxpose.models.padding import Padding
from jaxpose.models.parameter_rules import ParameterRules

# Expansion, channels, blocks and stride of each stage (arXiv:1801.04381, table 2).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280


def divisible(channels: float, by: int = 8) -> int:
    """Multiple of `by` nearest to `channels`, but not below 90 % of it."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """Expanding 1x1 convolution, depthwise, 1x1 without activation to fewer channels.

    arXiv:1801.04381, fig. 4d. `expansion` 1 leaves out the first; the input is added where the
    shape does not change.
    """

    features: int
    stride: int
    expansion: int
    dtype: str = "float32"
    norm: Norm = "batch"
    padding: Padding = "torch"
    size: int = 3
    norm_epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        conv = partial(
            conv_relu6,
            dtype=self.dtype,
            norm=self.norm,
            padding=self.padding,
            norm_epsilon=self.norm_epsilon,
        )
        wide = x.shape[-1] * self.expansion
        y = x
        if self.expansion > 1:
            y = conv(wide, 1, name="expand")(y, train)
        y = conv(wide, self.size, name="depthwise", stride=self.stride, groups=wide)(y, train)
        y = conv(self.features, 1, name="project", activation="none")(y, train)
        return x + y if y.shape == x.shape else y


def conv_relu6(features: int, size: int, **options) -> ConvNorm:
    """Make a convolution with norm and ReLU6."""
    return ConvNorm(features, size, **{"activation": "relu6", "kernel_init_std": None, **options})


class MobileNetV2(nn.Module):
    """MobileNetV2 backbone (Sandler et al. 2018, arXiv:1801.04381), without the classifier.

    Attributes:
      widen: factor on the number of channels; below one, the last convolution still has 1280.
      dtype: compute dtype; parameters and norm statistics stay float32.
      norm: "none" for weights whose norms are folded into the convolutions (see `ConvNorm`).
      padding: "tensorflow" for weights that were trained in it (see `padding.pads`).
      last_channels: channels of the last convolution; None for those that `widen` gives.
      returned: numbers of stages, from 0, whose outputs are returned before the last one.
    """

    widen: float = 1.0
    dtype: str = "float32"
    norm: Norm = "batch"
    padding: Padding = "torch"
    last_channels: int | None = None
    returned: tuple[int, ...] = ()

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 1280]` in `dtype`.

        With `returned`, a tuple: the outputs of these stages in order, then the last one.
        """
        conv = partial(conv_relu6, dtype=self.dtype, norm=self.norm, padding=self.padding)
        x = images.astype(self.dtype)
        x = conv(divisible(_STEM_CHANNELS * self.widen), 3, name="stem", stride=2)(x, train)
        found = []
        for s, (expansion, channels, blocks, stride) in enumerate(STAGES):
            for k in range(blocks):
                x = InvertedResidual(
                    divisible(channels * self.widen),
                    stride if k == 0 else 1,
                    expansion,
                    self.dtype,
                    self.norm,
                    self.padding,
                    name=f"stage_{s}_block_{k}",
                )(x, train)
            if s in self.returned:
                found.append(x)
        last = self.last_channels or int(_LAST_CHANNELS * max(self.widen, 1.0))
        x = conv(last, 1, name="last")(x, train)
        return (*found, x) if self.returned else x
