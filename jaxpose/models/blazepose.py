"""BlazePose: a trunk of inverted residuals, and the head that returns landmarks of a body.

Bazarevsky et al. 2020, arXiv:2006.10204, and the model cards of MediaPipe. The batch norms of the
published weights are folded into the convolutions, so convolutions have biases here.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.landmarks import LandmarkOutputs
from jaxpose.models.conv import ConvNorm
from jaxpose.models.normalisation import UNIT_RGB, Normalisation, renormalise
from jaxpose.models.padding import Padding
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import enlarge

_HIDDEN = 8
"""Channels of the branch for the segmentation."""


def conv(features: int, size: int, name: str, dtype: str, **options) -> ConvNorm:
    """Convolution with a bias and ReLU6."""
    options = {"activation": "relu6", "kernel_init_std": None, "norm": "none", **options}
    return ConvNorm(features, size, dtype=dtype, name=name, **options)


class Separable(nn.Module):
    """3x3 depthwise convolution, then a 1x1 convolution; both with ReLU6."""

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        x = conv(x.shape[-1], 3, "depthwise", self.dtype, groups=x.shape[-1])(x, False)
        return conv(self.features, 1, "pointwise", self.dtype)(x, False)


class Residual(nn.Module):
    """3x3 depthwise and 1x1 convolution beside the input, then ReLU6.

    With stride 2 the input is pooled by maxima; new channels of it are zeros.
    """

    features: int
    stride: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        channels = x.shape[-1]
        y = conv(
            channels,
            3,
            "depthwise",
            self.dtype,
            groups=channels,
            stride=self.stride,
            padding="tensorflow",
        )(x, False)
        y = conv(self.features, 1, "pointwise", self.dtype, activation="none")(y, False)
        return nn.relu6(shortcut(x, self.features, self.stride) + y)


def shortcut(x: jax.Array, features: int, stride: int) -> jax.Array:
    """Maxima of `stride x stride` pixels, with channels of zeros up to `features`."""
    if stride > 1:
        x = nn.max_pool(x, (stride, stride), (stride, stride))
    return jnp.pad(x, ((0, 0),) * 3 + ((0, features - x.shape[-1]),))


class BlazePoseTrunk(nn.Module):
    """Backbone of BlazePose and of the hand landmarks: inverted residuals as in EfficientNet.

    Attributes:
      channels: channels of the stem's convolution and of the 1x1 convolution after it.
      stages: expansion, side of the depthwise kernels, stride, channels and number of blocks of
        each stage.
      padding: "torch" for symmetrical zeros, "tensorflow" for those of "SAME".
      pooled: a block of stride 2 that keeps the channels adds its input, pooled by maxima.
      normalisation: normalisation of the weights' images.
      dtype: compute dtype; parameters stay float32.
    """

    channels: tuple[int, int]
    stages: tuple[tuple[int, int, int, int, int], ...]
    padding: Padding = "torch"
    pooled: bool = False
    normalisation: Normalisation = UNIT_RGB
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*|first_\w+/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """Normalised RGB `[B, H, W, 3]` -> the last map of each of the strides 2, 4, 8, 16 and 32.

        The last map has six times the channels of the last stage: its block has no 1x1 convolution
        to fewer channels.
        """
        del train  # neither norm nor dropout
        x = renormalise(images, self.normalisation).astype(self.dtype)
        stem, first = self.channels
        x = self._conv(stem, 3, "stem", stride=2)(x, False)
        x = self._conv(stem, 3, "first_depthwise", groups=stem)(x, False)
        x = self._conv(first, 1, "first_project", activation="none")(x, False)
        maps = []
        for s, (expansion, size, stride, features, blocks) in enumerate(self.stages):
            if stride > 1:
                maps.append(x)
            for k in range(blocks):
                name, stride = f"stage_{s}_block_{k}", stride if k == 0 else 1
                y = self._wide(x, expansion, size, stride, name)
                y = self._conv(features, 1, f"{name}_project", activation="none")(y, False)
                same = features == x.shape[-1] and (stride == 1 or self.pooled)
                x = y + shortcut(x, features, stride) if same else y
        maps.append(self._wide(x, 6, 3, 1, "last"))
        return tuple(maps)

    def _wide(self, x: jax.Array, expansion: int, size: int, stride: int, name: str) -> jax.Array:
        wide = expansion * x.shape[-1]
        x = self._conv(wide, 1, f"{name}_expand")(x, False)
        return self._conv(wide, size, f"{name}_depthwise", stride=stride, groups=wide)(x, False)

    def _conv(self, features: int, size: int, name: str, **options) -> ConvNorm:
        return conv(features, size, name, self.dtype, padding=self.padding, **options)


class BlazePoseHead(nn.Module):
    """Landmarks, positions in metres, presence, heatmaps and a segmentation of one person.

    A pyramid from stride 32 to stride 4 returns the heatmaps and feeds the segmentation; residual
    blocks down to a map of 2x2 return the landmarks.

    Attributes:
      num_keypoints: K.
      auxiliary: further points that have no name: the centre, the scale and the rotation of the
        person's region, and unused ones.
      pyramid: channels of the pyramid.
      tower: stride, channels and number of blocks of each stage on the way down. It starts from the
        pyramid, or, if its first stride is 32, from the backbone's last map.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int = 33
    auxiliary: int = 6
    pyramid: int = 48
    tower: tuple[tuple[int, int, int], ...] = ((32, 288, 0), (64, 288, 4), (128, 288, 5))
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:landmarks|world|presence|heatmaps|segmentation)/.*"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> LandmarkOutputs:
        """Maps of the strides 2 to 32 -> `LandmarkOutputs` with `num_keypoints + auxiliary` points.

        The input is 256x256 pixels in the published models; for larger ones, the landmarks are
        means of several estimates.
        """
        del train
        by_stride = {2 << i: x for i, x in enumerate(maps)}
        x = self._separable(self.pyramid, "pyramid_32")(by_stride[32])
        for stride in (16, 8, 4):
            lateral = self._separable(self.pyramid, f"pyramid_{stride}")(by_stride[stride])
            x = enlarge(x, 2) + lateral
        points = self.num_keypoints + self.auxiliary
        last = self._descend(x, by_stride)
        return LandmarkOutputs(
            landmarks=self._last(last, 5 * points, "landmarks").reshape(-1, points, 5),
            presence=nn.sigmoid(self._last(last, 1, "presence")),
            world=self._last(last, 3 * points, "world").reshape(-1, points, 3),
            heatmaps=self._conv(points, 1, "heatmaps")(x).astype(jnp.float32),
            segmentation=self._segment(x, by_stride[2]),
        )

    def _descend(self, pyramid: jax.Array, by_stride: dict[int, jax.Array]) -> jax.Array:
        x = None if self.tower[0][0] == 32 else pyramid
        for stride, channels, blocks in self.tower:
            if x is not None:
                for k in range(blocks + 1):
                    name = f"tower_{stride}_block_{k}"
                    x = Residual(channels, 2 if k == 0 else 1, self.dtype, name=name)(x)
            if stride in by_stride:
                lateral = self._separable(channels, f"tower_{stride}")(by_stride[stride])
                x = lateral if x is None else x + lateral
        assert x is not None
        return x

    def _segment(self, pyramid: jax.Array, fine: jax.Array) -> jax.Array:
        if fine.shape[-1] == _HIDDEN:
            fine = Residual(_HIDDEN, dtype=self.dtype, name="segment_2")(fine)
        else:
            fine = self._separable(_HIDDEN, "segment_2")(fine)
        x = enlarge(self._separable(_HIDDEN, "segment_4")(pyramid), 2) + fine
        for stride in (2, 1):
            x = enlarge(x, 2) if stride == 1 else x
            for k in range(2):
                x = Residual(_HIDDEN, dtype=self.dtype, name=f"segment_{stride}_block_{k}")(x)
        return self._conv(1, 3, "segmentation")(x).astype(jnp.float32)

    def _separable(self, features: int, name: str) -> Separable:
        return Separable(features, self.dtype, name=name)

    def _conv(self, features: int, size: int, name: str) -> nn.Conv:
        return nn.Conv(features, (size, size), dtype=self.dtype, name=name)

    def _last(self, x: jax.Array, values: int, name: str) -> jax.Array:
        """2x2 convolution, and the mean over its places: one for an input of 256x256."""
        layer = nn.Conv(values, (2, 2), padding="VALID", dtype=self.dtype, name=name)
        return layer(x).astype(jnp.float32).mean((1, 2))


class HandHead(nn.Module):
    """Landmarks of a hand, positions in metres, presence and handedness, by linear layers.

    Zhang et al. 2020, "MediaPipe Hands", arXiv:2006.10214.

    Attributes:
      num_keypoints: K.
    """

    num_keypoints: int = 21

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(?:landmarks|world|presence|handedness)/.*"
    )

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> LandmarkOutputs:
        """Maps of several strides, of which the last is used -> `LandmarkOutputs`."""
        del train
        pooled = maps[-1].astype(jnp.float32).mean((1, 2))
        points = 3 * self.num_keypoints
        handedness = nn.Dense(1, name="handedness")(pooled)
        presence = nn.Dense(1, name="presence")(pooled)
        landmarks = nn.Dense(points, name="landmarks")(pooled)
        world = nn.Dense(points, name="world")(pooled)
        return LandmarkOutputs(
            landmarks=landmarks.reshape(-1, self.num_keypoints, 3),
            presence=nn.sigmoid(presence),
            world=world.reshape(-1, self.num_keypoints, 3),
            handedness=nn.sigmoid(handedness),
        )
