"""MobileNetV2: inverted residuals with linear bottlenecks."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.models.conv import ConvNorm
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


def _divisible(channels: float, by: int = 8) -> int:
    """Multiple of `by` nearest to `channels`, but not below 90 % of it."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """Expanding 1x1 convolution, 3x3 depthwise, 1x1 without activation to fewer channels.

    arXiv:1801.04381, fig. 4d. `expansion` 1 leaves out the first; the input is added where the
    shape does not change.
    """

    features: int
    stride: int
    expansion: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        wide = x.shape[-1] * self.expansion
        y = x
        if self.expansion > 1:
            y = _conv(wide, 1, self.dtype, "expand")(y, train)
        y = _conv(wide, 3, self.dtype, "depthwise", stride=self.stride, groups=wide)(y, train)
        y = _conv(self.features, 1, self.dtype, "project", activation="none")(y, train)
        return x + y if y.shape == x.shape else y


def _conv(features: int, size: int, dtype: str, name: str, **options) -> ConvNorm:
    options = {"activation": "relu6", "kernel_init_std": None, **options}
    return ConvNorm(features, size, dtype=dtype, name=name, **options)


class MobileNetV2(nn.Module):
    """MobileNetV2 backbone (Sandler et al. 2018, arXiv:1801.04381), without the classifier.

    Attributes:
      widen: factor on the number of channels; below one, the last convolution still has 1280.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    widen: float = 1.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 1280]` in `dtype`."""
        x = images.astype(self.dtype)
        stem = _divisible(_STEM_CHANNELS * self.widen)
        x = _conv(stem, 3, self.dtype, "stem", stride=2)(x, train)
        for s, (expansion, channels, blocks, stride) in enumerate(STAGES):
            for k in range(blocks):
                x = InvertedResidual(
                    _divisible(channels * self.widen),
                    stride if k == 0 else 1,
                    expansion,
                    self.dtype,
                    name=f"stage_{s}_block_{k}",
                )(x, train)
        last = int(_LAST_CHANNELS * max(self.widen, 1.0))
        return _conv(last, 1, self.dtype, "last")(x, train)
