"""PP-LCNet: depthwise separable convolutions with hard swish."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.csp import Style
from jaxpose.models.parameter_rules import ParameterRules

# Kernel, channels at a factor of one, stride and squeeze-and-excitation of each block
# (arXiv:2109.15099, table 1). The paper's larger kernels begin in the middle of a stage.
_BLOCKS = (
    (3, 32, 1, False),
    (3, 64, 2, False),
    (3, 64, 1, False),
    (3, 128, 2, False),
    (3, 128, 1, False),
    (3, 256, 2, False),
    *((5, 256, 1, False),) * 5,
    (5, 512, 2, True),
    (5, 512, 1, True),
)
_STEM_CHANNELS = 16


class SqueezeExcitation(nn.Module):
    """Scaling of every channel by a hard sigmoid of two layers on all channels' means.

    arXiv:1709.01507, fig. 3, with the hard sigmoid of arXiv:1905.02244.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same shape."""
        channels = x.shape[-1]
        y = x.mean((1, 2), keepdims=True, dtype=jnp.promote_types(x.dtype, jnp.float32))
        y = nn.relu(nn.Conv(channels // 4, (1, 1), dtype=self.dtype, name="squeeze")(y))
        y = nn.Conv(channels, (1, 1), dtype=self.dtype, name="excite")(y)
        return x * nn.hard_sigmoid(y)


class LCNetBlock(nn.Module):
    """Depthwise convolution, squeeze-and-excitation in some blocks, 1x1 convolution."""

    features: int
    size: int
    stride: int
    attention: bool
    style: Style

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        channels = x.shape[-1]
        depthwise = self.style.conv(
            channels, self.size, "depthwise", stride=self.stride, groups=channels
        )
        x = depthwise(x, train)
        if self.attention:
            x = SqueezeExcitation(self.style.dtype, name="attention")(x)
        return self.style.conv(self.features, 1, "pointwise")(x, train)


class LCNet(nn.Module):
    """PP-LCNet backbone (Cui et al. 2021, arXiv:2109.15099).

    Attributes:
      widen: factor on the number of channels, which are then rounded to multiples of 8.
      style: style of all convolutions.
    """

    widen: float = 1.0
    style: Style = Style(activation="hard_swish")

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"block_(\d+)/.*"
    )

    @property
    def blocks(self) -> tuple[tuple[int, int, int, bool], ...]:
        """Kernel, channels, stride and squeeze-and-excitation of each block."""
        return tuple((size, self._width(width), stride, se) for size, width, stride, se in _BLOCKS)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> maps of strides 8, 16 and 32.

        Raises:
          InputError: H or W is no multiple of 32.
        """
        if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
            raise InputError(
                "LCNet needs images [B, H, W, 3] with H and W multiples of 32, but got "
                f"{list(images.shape)}."
            )
        x = images.astype(self.style.dtype)
        x = self.style.conv(self._width(_STEM_CHANNELS), 3, "stem", stride=2)(x, train)
        maps = []
        for i, (size, features, stride, attention) in enumerate(self.blocks):
            if stride == 2:
                maps.append(x)
            block = LCNetBlock(features, size, stride, attention, self.style, name=f"block_{i}")
            x = block(x, train)
        return *maps[2:], x  # the first two have strides 2 and 4

    def _width(self, channels: int) -> int:
        return max(8, int(channels * self.widen + 4) // 8 * 8)
