"""Bottleneck of ResNeSt, whose 3x3 convolution chooses between groups by attention."""

import flax.linen as nn
import jax

from jaxpose.models.conv import ConvNorm
from jaxpose.models.residual import mean_pool

_SPLITS = 2
# The attention's hidden channels: a quarter of those of both splits, and at least this many.
_LEAST = 32


class SplitAttentionBlock(nn.Module):
    """Bottleneck with split attention (Zhang et al. 2020, arXiv:2004.08955, fig. 2) of two splits.

    A strided block means over 3x3 pixels after its convolution, and over 2x2 in its shortcut.

    Attributes:
      features: channels of the 3x3 convolution's result; the output has four times as many.
      dtype: compute dtype.
      stride: stride of the block.
    """

    features: int
    dtype: str
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, 4 * features]`."""

        def conv(x, width, size, name, activation="relu", groups=1, bias=False):
            return ConvNorm(
                width,
                size,
                groups=groups,
                activation=activation,
                kernel_init_std=None,
                bias=bias,
                dtype=self.dtype,
                name=name,
            )(x, train)

        width = self.features
        y = conv(x, width, 1, "conv_0")
        y = conv(y, _SPLITS * width, 3, "splits", groups=_SPLITS)
        splits = y.reshape(*y.shape[:-1], _SPLITS, width)
        means = splits.sum(axis=-2).mean(axis=(1, 2), keepdims=True)
        hidden = max(_SPLITS * width // 4, _LEAST)
        shares = conv(means, hidden, 1, "attention_0", bias=True)
        shares = nn.Dense(_SPLITS * width, dtype=self.dtype, name="attention_1")(shares)
        shares = nn.softmax(shares.reshape(-1, 1, 1, _SPLITS, width), axis=-2)
        y = (splits * shares).sum(axis=-2)
        if self.stride > 1:
            y = nn.avg_pool(y, (3, 3), (self.stride,) * 2, ((1, 1), (1, 1)))
        y = conv(y, 4 * width, 1, "conv_2", "none")
        if self.stride > 1 or x.shape[-1] != y.shape[-1]:
            x = mean_pool(x, self.stride) if self.stride > 1 else x
            x = conv(x, 4 * width, 1, "shortcut", "none")
        return nn.relu(x + y)
