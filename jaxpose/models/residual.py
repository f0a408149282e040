"""Residual blocks of ResNet and its kin, HRNet and the hourglass."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.conv import ConvNorm, Norm


class ResidualBlock(nn.Module):
    """Basic block of ResNet, or its bottleneck (1x1, 3x3, 1x1 to four times `features`).

    He et al. 2016, arXiv:1512.03385, fig. 5. The shortcut is a 1x1 convolution where the shape
    changes.

    Attributes:
      features: channels of the 3x3 convolutions.
      bottleneck: True for the bottleneck, False for the basic block.
      stride: stride of the first 3x3 convolution. In the paper's bottleneck the first 1x1
        convolution has the stride; in published weights since PyTorch's the 3x3 has it ("v1b").
      shortcut: change of resolution in the shortcut of a strided block: a "strided" convolution, or
        "pooled", the mean over `stride` x `stride` pixels (ResNet-D, arXiv:1812.01187, fig. 2c).
      kernel_init_std: as in `ConvNorm`.
      groups: groups of the bottleneck's 3x3 convolution, each of `features / 16` channels, which is
        4 in the first stage (ResNeXt, arXiv:1611.05431); 1 for an ordinary one.
      squeeze: factor by which squeeze-and-excitation reduces the channels (arXiv:1709.01507, fig.
        3); 0 for none.
      norm: norm of the convolutions, as in `ConvNorm`.
      dilation: distance between the taps of the 3x3 convolutions.
    """

    features: int
    bottleneck: bool
    dtype: str
    stride: int = 1
    shortcut: Literal["strided", "pooled"] = "strided"
    kernel_init_std: float | None = 0.001
    groups: int = 1
    squeeze: int = 0
    norm: Norm = "batch"
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features * (4 if bottleneck else 1)]`."""
        inner = self.features if self.groups == 1 else self.groups * self.features // 16
        widths = (inner,) * 2 + ((4 * self.features,) if self.bottleneck else ())
        sizes = (1, 3, 1) if self.bottleneck else (3, 3)

        def conv(x: jax.Array, width: int, size: int, stride: int, last: bool, name: str):
            return ConvNorm(
                width,
                size,
                stride,
                groups=self.groups if size == 3 else 1,
                activation="none" if last else "relu",
                kernel_init_std=self.kernel_init_std,
                dtype=self.dtype,
                norm=self.norm,
                dilation=self.dilation if size == 3 else 1,
                name=name,
            )(x, train)

        y = x
        for i, (width, size) in enumerate(zip(widths, sizes, strict=True)):
            stride = self.stride if i == sizes.index(3) else 1
            y = conv(y, width, size, stride, i == len(widths) - 1, f"conv_{i}")
        if self.squeeze:
            y = SqueezeExcitation(self.squeeze, self.dtype, name="excitation")(y)
        if self.stride > 1 or x.shape[-1] != widths[-1]:
            stride = self.stride
            if stride > 1 and self.shortcut == "pooled":
                x, stride = mean_pool(x, stride), 1
            x = conv(x, widths[-1], 1, stride, True, "shortcut")
        return nn.relu(x + y)


class SqueezeExcitation(nn.Module):
    """Multiply each channel by a factor in (0, 1) that depends on the means of all channels.

    (Hu et al. 2018, arXiv:1709.01507, eq. 2 to 4.)
    """

    reduction: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]`."""
        channels = x.shape[-1]
        means = x.mean((1, 2), keepdims=True)
        hidden = nn.relu(nn.Dense(channels // self.reduction, dtype=self.dtype, name="fc1")(means))
        return x * nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name="fc2")(hidden))


class CalibratedBlock(nn.Module):
    """Bottleneck of SCNet, one half of which is self-calibrated (Liu et al. 2020, CVPR, fig. 2).

    Half of the channels pass an ordinary 3x3 convolution. In the other half, a convolution at a
    quarter of the resolution gives the factors of another one.

    Attributes:
      features: channels of both halves together; the output has four times as many.
      stride, dtype, kernel_init_std: as in `ResidualBlock`.
    """

    features: int
    dtype: str
    stride: int = 1
    kernel_init_std: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, 4 * features]`."""
        half = self.features // 2

        def conv(x, width, size, name, stride=1, activation="relu"):
            return ConvNorm(
                width,
                size,
                stride,
                activation=activation,
                kernel_init_std=self.kernel_init_std,
                dtype=self.dtype,
                name=name,
            )(x, train)

        plain = conv(conv(x, half, 1, "plain_0"), half, 3, "plain_1", self.stride)
        y = conv(x, half, 1, "calibrated_0")
        low = nn.avg_pool(y, (4, 4), (4, 4))
        low = _nearest(conv(low, half, 3, "low", activation="none"), y.shape[1:3])
        y = conv(y, half, 3, "calibrated_1", activation="none") * nn.sigmoid(y + low)
        y = conv(y, half, 3, "calibrated_2", self.stride)
        both = jnp.concatenate([plain, y], -1)
        y = conv(both, 4 * self.features, 1, "joined", activation="none")
        if self.stride > 1 or x.shape[-1] != y.shape[-1]:
            x = conv(x, y.shape[-1], 1, "shortcut", self.stride, "none")
        return nn.relu(x + y)


def _nearest(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Nearest enlargement of `[B, h, w, C]` to any size, with PyTorch's places."""
    for axis, wanted in enumerate(size, start=1):
        x = jnp.take(x, np.arange(wanted) * x.shape[axis] // wanted, axis)
    return x


def mean_pool(x: jax.Array, size: int) -> jax.Array:
    """Mean over `size` x `size` pixels of `[B, h, w, C]`; the last windows may be smaller."""
    cut = [(0, -n % size) for n in x.shape[1:3]]
    return nn.avg_pool(x, (size, size), (size, size), cut, count_include_pad=False)
