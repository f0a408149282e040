"""Lightweight OpenPose: dilated MobileNetV1, and stages of small convolutions."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.depthwise import depthwise
from jaxpose.models.heads import Final
from jaxpose.models.norm import BatchNorm
from jaxpose.models.normalisation import HALF_RGB, renormalise
from jaxpose.models.parameter_rules import ParameterRules

# Channels, stride and dilation of each separable convolution (arXiv:1811.12004, section 4.1).
LAYERS = (
    *((64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 2, 1), (256, 1, 1), (512, 1, 1)),
    *((512, 1, 2), *(((512, 1, 1),) * 4)),
)
_STEM = 32
_CHANNELS = 128
_FIRST_STAGE_CHANNELS = 512
_STRIDE = 8


class DilatedDepthwise(nn.Module):
    """3x3 depthwise convolution whose taps are two pixels apart, without bias.

    The same as `DepthwiseConv` on each of four images: every second row and column.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same shape in `dtype`."""
        batch, height, width, channels = x.shape
        init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        kernel = self.param("kernel", init, (3, 3, 1, channels), jnp.float32)
        odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x = jnp.pad(x.astype(self.dtype), odd)
        half = x.shape[1] // 2, x.shape[2] // 2
        x = x.reshape(batch, half[0], 2, half[1], 2, channels).transpose(2, 4, 0, 1, 3, 5)
        x = depthwise(x.reshape(4 * batch, *half, channels), kernel.astype(self.dtype))
        x = x.reshape(2, 2, batch, *half, channels).transpose(2, 3, 0, 4, 1, 5)
        return x.reshape(batch, 2 * half[0], 2 * half[1], channels)[:, :height, :width]


class DilatedMobileNet(nn.Module):
    """MobileNetV1 (arXiv:1704.04861) up to conv5_5, with dilation in place of the last stride.

    Osokin 2018, arXiv:1811.12004, section 4.1.

    Attributes:
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"layer_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 8, W / 8, 512]` in `dtype`."""
        if images.ndim != 4 or images.shape[1] % _STRIDE or images.shape[2] % _STRIDE:
            raise InputError(
                f"DilatedMobileNet needs images [B, H, W, 3] with H and W multiples of {_STRIDE}, "
                f"but got {list(images.shape)}."
            )
        # The published weights are for values of -0.5 to 0.5.
        x = renormalise(images, HALF_RGB).astype(self.dtype)
        x = self._conv(_STEM, 3, 2, "stem")(x, train)
        for i, (channels, stride, dilation) in enumerate(LAYERS):
            width, name = x.shape[-1], f"layer_{i}_depthwise"
            if dilation == 1:
                x = self._conv(width, 3, stride, name, groups=width)(x, train)
            else:
                x = DilatedDepthwise(self.dtype, name=name)(x)
                x = nn.relu(BatchNorm(dtype=self.dtype, name=f"{name}_norm")(x, train))
            x = self._conv(channels, 1, 1, f"layer_{i}_pointwise")(x, train)
        return x

    def _conv(self, features: int, size: int, stride: int, name: str, groups: int = 1) -> ConvNorm:
        return ConvNorm(
            features, size, stride, groups, kernel_init_std=None, dtype=self.dtype, name=name
        )


class LightweightOpenPoseHead(nn.Module):
    """Reduction, one first stage, and refinement stages (Osokin 2018, arXiv:1811.12004, fig. 3).

    Both branches of a stage share all convolutions but the last two. The outputs are those of
    `OpenPoseHead` with a background.

    Attributes:
      num_keypoints: K; there is one map more, of the background.
      limbs: number of keypoint pairs with a field, of two channels each.
      refinements: number of stages after the first.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    limbs: int = 19
    refinements: int = 1
    dtype: str = "float32"

    background: ClassVar[bool] = True
    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"\w+_final/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, h, w, C]` -> `[B, h, w, K + 1 + 2 * limbs]`; one of each stage if `train`."""
        x = self._conv(features, _CHANNELS, 1, "align")
        y = x
        for i in range(3):
            y = self._separable(y, f"separable_{i}")
        x = self._conv(x + y, _CHANNELS, 3, "reduce")
        y = x
        for i in range(3):
            y = self._conv(y, _CHANNELS, 3, f"first_{i}")
        outputs = [self._outputs(y, _FIRST_STAGE_CHANNELS, "first")]
        for s in range(self.refinements):
            y = jnp.concatenate([x, outputs[-1].astype(x.dtype)], axis=-1)
            for i in range(5):
                y = self._block(y, f"refine_{s}_{i}", train)
            outputs.append(self._outputs(y, _CHANNELS, f"refine_{s}"))
        return tuple(outputs) if train else outputs[-1]

    def _conv(
        self, x: jax.Array, features: int, size: int, name: str, dilation: int = 1
    ) -> jax.Array:
        return nn.relu(self._linear(x, features, size, name, dilation))

    def _linear(
        self, x: jax.Array, features: int, size: int, name: str, dilation: int = 1
    ) -> jax.Array:
        return nn.Conv(
            features,
            (size, size),
            padding=dilation * (size // 2),
            kernel_dilation=dilation,
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            name=name,
        )(x)

    def _separable(self, x: jax.Array, name: str) -> jax.Array:
        """Depthwise and 1x1 convolution without norms, each with an ELU."""
        init = nn.initializers.he_normal()
        kernel = self.param(f"{name}_depthwise", init, (3, 3, 1, x.shape[-1]), jnp.float32)
        x = nn.elu(depthwise(x, kernel.astype(x.dtype)))
        point = nn.Conv(_CHANNELS, (1, 1), use_bias=False, dtype=self.dtype, name=f"{name}_point")
        return nn.elu(point(x))

    def _block(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        """1x1 convolution, and two of 3x3 with norms beside it, the second with dilation."""
        x = self._conv(x, _CHANNELS, 1, f"{name}_initial")
        y = x
        for i, dilation in enumerate((1, 2)):
            y = self._linear(y, _CHANNELS, 3, f"{name}_conv_{i}", dilation)
            y = nn.relu(BatchNorm(dtype=self.dtype, name=f"{name}_norm_{i}")(y, train))
        return x + y

    def _outputs(self, x: jax.Array, wide: int, name: str) -> jax.Array:
        parts = []
        for kind, channels in (("maps", self.num_keypoints + 1), ("fields", 2 * self.limbs)):
            y = self._conv(x, wide, 1, f"{name}_{kind}_wide")
            parts.append(Final(channels, dtype=self.dtype, name=f"{name}_{kind}_final")(y))
        return jnp.concatenate(parts, axis=-1)
