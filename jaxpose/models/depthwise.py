"""Depthwise convolution: one kernel for each channel."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxpose.models.padding import Padding, Pads, pads


class DepthwiseConv(nn.Module):
    """Depthwise convolution, without bias by default.

    The kernel, `[size, size, 1, C]`, is laid out as that of `nn.Conv` with as many groups as
    channels. `padding` is as for `padding.pads`.
    """

    size: int
    stride: int = 1
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: str = "float32"
    padding: Padding = "torch"
    bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, C]` in `dtype`."""
        shape = (self.size, self.size, 1, x.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        zeros = pads(x.shape[1:3], self.size, self.stride, self.padding)
        x = depthwise(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, zeros)
        if self.bias:
            zero = nn.initializers.zeros_init()
            bias = self.param("bias", zero, (x.shape[-1],), jnp.float32)
            x = x + bias.astype(self.dtype)[None, None, None]
        return x


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(
    x: jax.Array, kernel: jax.Array, stride: int = 1, zeros: Pads | None = None
) -> jax.Array:
    """Depthwise convolution of `[B, h, w, C]` by `[n, n, 1, C]`, n odd.

    `zeros` is from `padding.pads`, n - 1 for each axis; None pads both ends by n // 2.

    Each platform runs its fastest form: a grouped convolution on accelerators, a sum of shifted
    images on CPUs, where XLA's grouped convolution takes 20-50 times as long.
    """
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: shifted_sum(x, kernel, stride, zeros),
        default=lambda x, kernel: grouped(x, kernel, stride, zeros),
    )


def _forward(x, kernel, stride, zeros):
    return depthwise(x, kernel, stride, zeros), (x, kernel)


def _backward(stride, zeros, saved, gradient):
    return lax.platform_dependent(
        *saved,
        gradient,
        cpu=lambda x, kernel, gradient: shifted_sum_gradients(x, kernel, gradient, stride, zeros),
        default=lambda x, kernel, gradient: jax.vjp(
            lambda x, kernel: grouped(x, kernel, stride, zeros), x, kernel
        )[1](gradient),
    )


depthwise.defvjp(_forward, _backward)


def grouped(
    x: jax.Array, kernel: jax.Array, stride: int = 1, zeros: Pads | None = None
) -> jax.Array:
    """`depthwise` as a convolution with as many groups as channels."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=zeros or _centred(kernel),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def shifted_sum(
    x: jax.Array, kernel: jax.Array, stride: int = 1, zeros: Pads | None = None
) -> jax.Array:
    """`depthwise` as a sum over the taps: shifted image times tap, in float32 or wider."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    taps = kernel.astype(wide)[:, :, 0][:, :, None, None, None]
    padded = _pad(x.astype(wide), zeros or _centred(kernel))
    size = kernel.shape[0]
    total = sum(
        _pixels_of_tap(padded, r, s, x.shape, stride) * taps[r, s]
        for r in range(size)
        for s in range(size)
    )
    return jnp.asarray(total).astype(x.dtype)


def shifted_sum_gradients(
    x: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    stride: int,
    zeros: Pads | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Gradients of `shifted_sum` with respect to the image and to the kernel."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    gradient = gradient.astype(wide)
    height, width = x.shape[1:3]
    zeros = zeros or _centred(kernel)
    half = kernel.shape[0] // 2
    # Pixels that the first output is centred on.
    top, left = half - zeros[0][0], half - zeros[1][0]
    # The image's gradient is a depthwise convolution by the kernel rotated by 180 degrees. Its
    # input is the output's gradient, placed at the pixels that the taps were centred on.
    gap = stride - 1
    spread = lax.pad(
        gradient,
        jnp.zeros((), wide),
        [
            (0, 0, 0),
            (top, height - (gradient.shape[1] - 1) * stride - 1 - top, gap),
            (left, width - (gradient.shape[2] - 1) * stride - 1 - left, gap),
            (0, 0, 0),
        ],
    )
    by_image = shifted_sum(spread, kernel[::-1, ::-1])
    # The kernel's gradient is computed row by row: a loop keeps XLA from fusing the reductions
    # into one that reads memory out of order.
    padded = _pad(x.astype(wide), zeros)
    size = kernel.shape[0]

    def of_row(r: jax.Array) -> jax.Array:
        rows = lax.dynamic_slice_in_dim(padded, r, height, 1)
        return jnp.stack(
            [
                (_pixels_of_tap(rows, 0, s, x.shape, stride) * gradient).sum(axis=(0, 1, 2))
                for s in range(size)
            ]
        )

    by_kernel = lax.map(of_row, jnp.arange(size))[:, :, None]
    return by_image.astype(x.dtype), by_kernel.astype(kernel.dtype)


def _centred(kernel: jax.Array) -> Pads:
    half = kernel.shape[0] // 2
    return (half, half), (half, half)


def _pad(x: jax.Array, zeros: Pads) -> jax.Array:
    return jnp.pad(x, ((0, 0), *zeros, (0, 0)))


def _pixels_of_tap(
    padded: jax.Array, row: int, column: int, shape: tuple[int, ...], stride: int
) -> jax.Array:
    """Pixels that one tap multiplies: every `stride`-th one of an image of `shape`, shifted."""
    return padded[:, row : row + shape[1] : stride, column : column + shape[2] : stride]
