"""Residual block of ResNet, HRNet and the hourglass."""

from typing import Literal

import flax.linen as nn
import jax

from jaxpose.models.conv import ConvNorm


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
    """

    features: int
    bottleneck: bool
    dtype: str
    stride: int = 1
    shortcut: Literal["strided", "pooled"] = "strided"
    kernel_init_std: float | None = 0.001

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features * (4 if bottleneck else 1)]`."""
        widths = (self.features,) * 2 + ((4 * self.features,) if self.bottleneck else ())
        sizes = (1, 3, 1) if self.bottleneck else (3, 3)

        def conv(x: jax.Array, width: int, size: int, stride: int, last: bool, name: str):
            return ConvNorm(
                width,
                size,
                stride,
                activation="none" if last else "relu",
                kernel_init_std=self.kernel_init_std,
                dtype=self.dtype,
                name=name,
            )(x, train)

        y = x
        for i, (width, size) in enumerate(zip(widths, sizes, strict=True)):
            stride = self.stride if i == sizes.index(3) else 1
            y = conv(y, width, size, stride, i == len(widths) - 1, f"conv_{i}")
        if self.stride > 1 or x.shape[-1] != widths[-1]:
            stride = self.stride
            if stride > 1 and self.shortcut == "pooled":
                x, stride = _pool(x, stride), 1
            x = conv(x, widths[-1], 1, stride, True, "shortcut")
        return nn.relu(x + y)


def _pool(x: jax.Array, size: int) -> jax.Array:
    """Mean over `size` x `size` pixels of `[B, h, w, C]`; the last windows may be smaller."""
    cut = [(0, -n % size) for n in x.shape[1:3]]
    return nn.avg_pool(x, (size, size), (size, size), cut, count_include_pad=False)
