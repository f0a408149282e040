"""OpenPose on phones: MobileNetV2's first stages, and stages of separable convolutions."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.depthwise import DepthwiseConv
from jaxpose.models.mobilenetv2 import STAGES, InvertedResidual, conv_relu6, divisible
from jaxpose.models.normalisation import PIXELS_RGB, renormalise
from jaxpose.models.parameter_rules import ParameterRules

NORM_EPSILON = 1e-3
_STRIDE = 8
_STEM = 32
# Stage whose output has an eighth of the image's size, and the last one used, a sixteenth.
_FINE, _COARSE = 2, 4
SIZES = (3, 3, 3, 1, 1)
"""Sides of the depthwise kernels of a branch."""
_CHANNELS = 64
_FIRST_STAGE_CHANNELS = 256


class MobileNetV2Pair(nn.Module):
    """MobileNetV2's outputs of strides 8 and 16, concatenated at stride 8 (arXiv:1801.04381).

    As in tf-pose-estimation's `mobilenet_v2_small`, whose norms use the statistics of the image.

    Attributes:
      widen: factor on the number of channels.
      dtype: compute dtype; parameters stay float32.
    """

    widen: float = 0.5
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, ceil(H / 8), ceil(W / 8), C]` in `dtype`."""
        if images.ndim != 4 or min(images.shape[1:3]) < _STRIDE:
            raise InputError(
                f"MobileNetV2Pair needs images [B, H, W, 3] of at least {_STRIDE} pixels, but got "
                f"{list(images.shape)}."
            )
        x = renormalise(images, PIXELS_RGB).astype(self.dtype)
        conv = partial(
            conv_relu6,
            dtype=self.dtype,
            norm="image",
            padding="tensorflow",
            norm_epsilon=NORM_EPSILON,
        )
        x = conv(divisible(_STEM * self.widen), 3, name="stem", stride=2)(x, train)
        fine = x
        for s, (expansion, channels, blocks, stride) in enumerate(STAGES[: _COARSE + 1]):
            for k in range(blocks):
                x = InvertedResidual(
                    divisible(channels * self.widen),
                    stride if k == 0 else 1,
                    expansion,
                    self.dtype,
                    "image",
                    "tensorflow",
                    norm_epsilon=NORM_EPSILON,
                    name=f"stage_{s}_block_{k}",
                )(x, train)
            if s == _FINE:
                fine = x
        return jnp.concatenate([fine, _enlarged(x, fine.shape[1:3])], axis=-1)


def _enlarged(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, C]`, the first pixels' centres aligned (TensorFlow 1)."""
    for axis, equation in ((1, "oh,bhwc->bowc"), (2, "ow,bhwc->bhoc")):
        source = x.shape[axis]
        place = np.arange(size[axis - 1]) * (source / size[axis - 1])
        place = np.minimum(place, source - 1)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(source)))
        x = jnp.einsum(equation, jnp.asarray(weights, x.dtype), x)
    return x


class MobileOpenPoseHead(nn.Module):
    """Stages of separable convolutions with norms, after OpenPose (arXiv:1611.08050, fig. 3).

    The outputs are those of `OpenPoseHead` with a background; the last convolutions have norms.

    Attributes:
      num_keypoints: K; there is one map more, of the background.
      limbs: number of keypoint pairs with a field, of two channels each.
      stages: number of stages.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    limbs: int = 19
    stages: int = 6
    dtype: str = "float32"

    background: ClassVar[bool] = True
    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"stage_\d+_\w+_4/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, h, w, C]` -> `[B, h, w, K + 1 + 2 * limbs]`; one of each stage if `train`."""
        outputs: list[jax.Array] = []
        kinds = {"maps": self.num_keypoints + 1, "fields": 2 * self.limbs}
        for s in range(self.stages):
            x = features
            if outputs:
                x = jnp.concatenate([features, outputs[-1].astype(features.dtype)], axis=-1)
            wide = _CHANNELS if s else _FIRST_STAGE_CHANNELS
            parts = []
            for kind, channels in kinds.items():
                y = x
                widths = (_CHANNELS, _CHANNELS, _CHANNELS, wide, channels)
                for i, (size, width) in enumerate(zip(SIZES, widths, strict=True)):
                    last = i == len(SIZES) - 1
                    y = _Separable(
                        width,
                        size,
                        not last,
                        "float32" if last else self.dtype,
                        name=f"stage_{s}_{kind}_{i}",
                    )(y, train)
                parts.append(y)
            outputs.append(jnp.concatenate(parts, axis=-1))
        return tuple(outputs) if train else outputs[-1]


class _Separable(nn.Module):
    """Depthwise convolution, 1x1 convolution, norm, and a ReLU if `rectified`."""

    features: int
    size: int
    rectified: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]` in `dtype`."""
        init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        x = DepthwiseConv(self.size, 1, init, self.dtype, name="depthwise")(x)
        return ConvNorm(
            self.features,
            1,
            activation="relu" if self.rectified else "none",
            norm_epsilon=NORM_EPSILON,
            kernel_init_std=None,
            dtype=self.dtype,
            name="point",
        )(x, train)
