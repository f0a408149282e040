"""A convolution with its batch norm and activation: the brick of every convolution network."""

from typing import Literal

import flax.linen as nn
import jax

from jaxpose.models.depthwise import DepthwiseConv
from jaxpose.models.norm import BatchNorm

_ACTIVATIONS = {"relu": nn.relu, "relu6": nn.relu6, "silu": nn.silu, "none": lambda x: x}


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation.

    Attributes:
      features: output channels.
      size: side of the kernel, odd.
      stride, groups: of the convolution; `groups` equal to the input's channels is depthwise.
      activation: what follows the norm.
      norm_momentum: share of the old running statistics that is kept.
      norm_epsilon: added to the variance.
      kernel_init_std: of the normal distribution that kernels start from; None for He's
        (arXiv:1502.01852), of the outputs.
      bias: whether the convolution has one, which the norm makes superfluous.
    """

    features: int
    size: int
    stride: int = 1
    groups: int = 1
    activation: Literal["relu", "relu6", "silu", "none"] = "relu"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    kernel_init_std: float | None = 0.001
    bias: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`, padded as in PyTorch."""
        init = _init(self.kernel_init_std)
        if 1 < self.groups == x.shape[-1] == self.features and not self.bias:
            x = DepthwiseConv(self.size, self.stride, init, self.dtype, name="conv")(x)
        else:
            x = nn.Conv(
                self.features,
                (self.size, self.size),
                self.stride,
                padding=self.size // 2,
                feature_group_count=self.groups,
                use_bias=self.bias,
                dtype=self.dtype,
                kernel_init=init,
                name="conv",
            )(x)
        x = BatchNorm(self.norm_momentum, self.norm_epsilon, self.dtype, name="norm")(x, train)
        return _ACTIVATIONS[self.activation](x)


def _init(std: float | None) -> nn.initializers.Initializer:
    if std is None:
        return nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    return nn.initializers.normal(std)
