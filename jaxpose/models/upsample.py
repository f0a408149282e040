"""Upsampling layers: the stride-2 deconvolution in sub-pixel form, and bilinear enlargement."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

# Kernel rows (or columns) that reach an output row, as (tap on the earlier input row, tap on the
# later one). Output row 2m sees input rows m - 1 and m, output row 2m + 1 sees m and m + 1.
_TAPS = ((3, 1), (2, 0))


class Deconv(nn.Module):
    """4x4 transposed convolution of stride 2 and padding 1, no bias: twice the size.

    Each of the four parities of output pixels is a 2x2 convolution of the input (the sub-pixel
    form of Shi et al. 2016, arXiv:1609.07009), so no zeros are multiplied and no dilated
    convolution is compiled. The kernel, `[4, 4, C, features]`, has PyTorch's orientation.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, 2h, 2w, features]`."""
        kernel = self.param(
            "kernel",
            nn.initializers.normal(0.001),
            (4, 4, x.shape[-1], self.features),
            jnp.float32,
        )
        return deconv(x.astype(self.dtype), kernel.astype(self.dtype))


def deconv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution, stride 2 and padding 1, of `[B, h, w, C]` by `[4, 4, C, F]`.

    `out[2i - 1 + r, 2j - 1 + s] += x[i, j] @ kernel[r, s]` -> `[B, 2h, 2w, F]`.
    """
    batch, height, width, _ = x.shape
    rows = []
    for row, row_taps in enumerate(_TAPS):
        columns = []
        for column, column_taps in enumerate(_TAPS):
            taps = kernel[jnp.array(row_taps)][:, jnp.array(column_taps)]
            columns.append(
                lax.conv_general_dilated(
                    x,
                    taps,
                    window_strides=(1, 1),
                    padding=((1 - row, row), (1 - column, column)),
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                )
            )
        rows.append(jnp.stack(columns, axis=3))  # [B, h, w, 2, F]
    out = jnp.stack(rows, axis=2)  # [B, h, 2, w, 2, F]
    return out.reshape(batch, 2 * height, 2 * width, kernel.shape[-1])


def enlarge(x: jax.Array, scale: int) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, C]` by an integer, edges aligned (not corners)."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * scale, width * scale, channels), "bilinear")
