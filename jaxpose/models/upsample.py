"""Upsampling: stride-2 deconvolution in sub-pixel form, enlargement, and pixel shuffle."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxpose.models.split import for_tpu

# Kernel rows (or columns) that contribute to an output row, as (tap on the earlier input row, tap
# on the later one). Output row 2m depends on input rows m - 1 and m, output row 2m + 1 on rows m
# and m + 1.
_TAPS = ((3, 1), (2, 0))


class Deconv(nn.Module):
    """4x4 transposed convolution of stride 2 and padding 1, without bias: doubles the size.

    Each of the four parities of output pixels is a 2x2 convolution of the input (the sub-pixel
    form of Shi et al. 2016, arXiv:1609.07009), so no zeros are multiplied and no dilated
    convolution is compiled. The kernel, `[4, 4, C / groups, features]`, has PyTorch's orientation.
    """

    features: int
    dtype: str = "float32"
    groups: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, 2h, 2w, features]`."""
        kernel = self.param(
            "kernel",
            nn.initializers.normal(0.001),
            (4, 4, x.shape[-1] // self.groups, self.features),
            jnp.float32,
        )
        return deconv(x.astype(self.dtype), kernel.astype(self.dtype))


@jax.custom_vjp
def deconv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution, stride 2 and padding 1, of `[B, h, w, C]` by `[4, 4, C, F]`.

    `out[2i - 1 + r, 2j - 1 + s] += x[i, j] @ kernel[r, s]` -> `[B, 2h, 2w, F]`. With a kernel
    `[4, 4, C / groups, F]` the channels are in groups, each of which has F / groups outputs.
    """
    return _deconv(x, kernel)


def _deconv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, height, width, _ = x.shape
    rows = []
    for row in (0, 1):
        columns = []
        for column in (0, 1):
            # `_TAPS` of both axes as slices: a lookup's gradient would be a scatter.
            taps = lax.slice(kernel, (1 - row, 1 - column, 0, 0), kernel.shape, (2, 2, 1, 1))
            taps = lax.rev(taps, (0, 1))
            columns.append(
                lax.conv_general_dilated(
                    x,
                    taps,
                    window_strides=(1, 1),
                    padding=((1 - row, row), (1 - column, column)),
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                    feature_group_count=x.shape[-1] // kernel.shape[2],
                )
            )
        rows.append(jnp.stack(columns, axis=3))  # [B, h, w, 2, F]
    out = jnp.stack(rows, axis=2)  # [B, h, 2, w, 2, F]
    out = out.reshape(batch, 2 * height, 2 * width, kernel.shape[-1])
    return _in_its_type(out)


def _in_its_type(pixels: jax.Array) -> jax.Array:
    """Keep pixels in their type while they are reordered, on TPUs.

    Otherwise XLA converts them for the batch norm first, and then reorders twice the bytes.
    """
    return lax.optimization_barrier(pixels) if for_tpu() else pixels


def _deconv_forward(x, kernel):
    return deconv(x, kernel), (x, kernel)


def _deconv_backward(saved, gradient):
    x, kernel = saved
    gradient = _in_its_type(gradient)
    # JAX's own derivative is used except for the kernel's gradient on CPUs: there XLA's convolution
    # with windows of the image's size takes 2-4 times as long as the same sums as matmuls.
    if x.shape[-1] != kernel.shape[2]:
        return jax.vjp(_deconv, x, kernel)[1](gradient)
    (x_gradient,) = jax.vjp(lambda x: _deconv(x, kernel), x)[1](gradient)
    kernel_gradient = lax.platform_dependent(
        x,
        kernel,
        gradient,
        cpu=kernel_gradient_by_matmul,
        default=lambda x, kernel, g: jax.vjp(lambda k: _deconv(x, k), kernel)[1](g)[0],
    )
    return x_gradient, kernel_gradient


deconv.defvjp(_deconv_forward, _deconv_backward)


def kernel_gradient_by_matmul(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
    """Gradient of `deconv` by its kernel: one matmul over all pixels for each of 16 taps."""
    batch, height, width, channels = x.shape
    features = kernel.shape[-1]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    gradient = gradient.reshape(batch, height, 2, width, 2, features)
    taps = {}
    for row, row_taps in enumerate(_TAPS):
        for column, column_taps in enumerate(_TAPS):
            of_parity = gradient[:, :, row, :, column].reshape(-1, features)
            for i, r in enumerate(row_taps):
                for j, s in enumerate(column_taps):
                    shifted = padded[:, row + i : row + i + height, column + j : column + j + width]
                    taps[r, s] = jnp.matmul(
                        shifted.reshape(-1, channels).T,
                        of_parity,
                        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
                    )
    rows = [jnp.stack([taps[r, s] for s in range(4)]) for r in range(4)]
    return jnp.stack(rows).astype(kernel.dtype)


def enlarge(x: jax.Array, scale: int) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, C]` by an integer, edges aligned (not corners)."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * scale, width * scale, channels), "bilinear")


def repeat(x: jax.Array, scale: int) -> jax.Array:
    """Nearest enlargement of `[B, h, w, C]` by an integer."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, scale, width, scale, channels))
    return x.reshape(batch, height * scale, width * scale, channels)


def pixel_shuffle(x: jax.Array, scale: int) -> jax.Array:
    """Rearrange `[B, h, w, C * scale**2]` to `[B, h * scale, w * scale, C]`.

    As PyTorch's: the channels of one output channel are neighbours, row by row (Shi et al. 2016,
    arXiv:1609.05158, eq. 4).
    """
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, channels // scale**2, scale, scale)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, height * scale, width * scale, -1)


def stretch(x: jax.Array, scale: int) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, C]` by an integer, the corner pixels' centres aligned."""
    for axis, equation in ((1, "oh,bhwc->bowc"), (2, "ow,bhwc->bhoc")):
        x = jnp.einsum(equation, jnp.asarray(_corner_weights(x.shape[axis], scale), x.dtype), x)
    return x


def _corner_weights(size: int, scale: int) -> np.ndarray:
    """Share of each input pixel in each output pixel, `[size * scale, size]`."""
    positions = np.linspace(0, size - 1, size * scale)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(size)))
