"""Convolution with batch norm and activation, the layer that all convolutional networks share."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxpose.models.depthwise import DepthwiseConv
from jaxpose.models.norm import BatchNorm, ImageNorm
from jaxpose.models.padding import Padding, pads

Norm = Literal["batch", "none", "image", "group"]
Activation = Literal["relu", "leaky_relu", "relu6", "silu", "hard_swish", "gelu", "none"]
_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": partial(nn.leaky_relu, negative_slope=0.1),
    "relu6": nn.relu6,
    "silu": nn.silu,
    "hard_swish": lambda x: x * nn.relu6(x + 3) / 6,
    "gelu": partial(nn.gelu, approximate=False),
    "none": lambda x: x,
}


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation.

    Attributes:
      features: output channels.
      size: side of the kernel, odd.
      stride: stride of the convolution.
      groups: groups of channels; as many as the input's channels make it depthwise.
      padding: "torch" or "tensorflow"; see `padding.pads`.
      activation: function after the norm.
      norm_momentum: share of the old running statistics that is kept.
      norm_epsilon: number added to the variance.
      kernel_init_std: standard deviation of the normal distribution that initialises kernels; None
        for He's (arXiv:1502.01852), by the number of outputs.
      bias: True adds a bias to the convolution. The norm makes it redundant, but published weights
        may have it.
      norm: "none" for a bias in place of the norm: for weights into which the norms were folded. A
        norm with the statistics of such weights would change the outputs as soon as it is trained.
        "image" for statistics of each image (see `norm.ImageNorm`), "group" for those of each image
        and of each of 32 groups of channels (arXiv:1803.08494).
      dilation: distance between the taps of the kernel.
    """

    features: int
    size: int
    stride: int = 1
    groups: int = 1
    padding: Padding = "torch"
    activation: Activation = "relu"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    kernel_init_std: float | None = 0.001
    bias: bool = False
    dtype: str = "float32"
    norm: Norm = "batch"
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        init = _init(self.kernel_init_std)
        if 1 < self.groups == x.shape[-1] == self.features:
            x = DepthwiseConv(
                self.size, self.stride, init, self.dtype, self.padding, self.bias, name="conv"
            )(x)
        elif self.size == self.groups == 1:
            x = Pointwise(self.features, self.stride, self.bias, init, self.dtype, name="conv")(x)
        else:
            reach = self.dilation * (self.size - 1) + 1
            x = nn.Conv(
                self.features,
                (self.size, self.size),
                self.stride,
                kernel_dilation=self.dilation,
                padding=pads(x.shape[1:3], reach, self.stride, self.padding),
                feature_group_count=self.groups,
                use_bias=self.bias,
                dtype=self.dtype,
                kernel_init=init,
                name="conv",
            )(x)
        if self.norm == "none":
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            x = x + bias.astype(self.dtype)[None, None, None]
        elif self.norm == "image":
            x = ImageNorm(self.norm_epsilon, self.dtype, name="norm")(x)
        elif self.norm == "group":
            x = nn.GroupNorm(32, epsilon=self.norm_epsilon, dtype=self.dtype, name="norm")(x)
        else:
            x = BatchNorm(self.norm_momentum, self.norm_epsilon, self.dtype, name="norm")(x, train)
        return _ACTIVATIONS[self.activation](x)


class Pointwise(nn.Module):
    """1x1 convolution, with the parameters of `nn.Conv`."""

    features: int
    stride: int
    bias: bool
    kernel_init: nn.initializers.Initializer
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]` in `dtype`."""
        shape = (1, 1, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        x = pointwise(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            x = x + bias.astype(self.dtype)[None, None, None]
        return x


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def pointwise(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolution of `[B, h, w, C]` by `[1, 1, C, F]`."""
    return _pointwise(x, kernel, stride)


def _pointwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _forward(x, kernel, stride):
    return pointwise(x, kernel, stride), (x, kernel)


def _backward(stride, saved, gradient):
    x, kernel = saved
    # As in `upsample.deconv`: JAX's own derivative by the kernel is a convolution with windows of
    # the image's size, which takes two to five times as long on CPUs as the same sums as a matmul.
    (x_gradient,) = jax.vjp(lambda x: _pointwise(x, kernel, stride), x)[1](gradient)
    kernel_gradient = lax.platform_dependent(
        x,
        kernel,
        gradient,
        cpu=partial(kernel_gradient_by_matmul, stride=stride),
        default=lambda x, kernel, g: jax.vjp(lambda k: _pointwise(x, k, stride), kernel)[1](g)[0],
    )
    return x_gradient, kernel_gradient


pointwise.defvjp(_forward, _backward)


def kernel_gradient_by_matmul(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int
) -> jax.Array:
    """Gradient of `pointwise` by its kernel: one matmul over all pixels."""
    pixels = x[:, ::stride, ::stride].reshape(-1, x.shape[-1])
    product = jnp.matmul(
        pixels.T,
        gradient.reshape(-1, gradient.shape[-1]),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
    return product.reshape(kernel.shape).astype(kernel.dtype)


def _init(std: float | None) -> nn.initializers.Initializer:
    if std is None:
        return nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    return nn.initializers.normal(std)
