"""Trunks of ViPNAS, a residual network and a MobileNetV3 whose sizes were found by a search."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import Activation, ConvNorm
from jaxpose.models.parameter_rules import ParameterRules


@dataclass(frozen=True)
class SearchedStage:
    """Sizes of the blocks of a stage.

    Attributes:
      width: channels of the blocks' outputs.
      blocks: number of blocks.
      size: side of the kernel of the grouped convolution.
      groups: its groups of channels.
      stride: stride of the first block.
      attention: True if each block weighs its channels.
      expansion: channels of the grouped convolution, in multiples of `width`.
      activation: of the convolutions, except the last one of a block.
    """

    width: int
    blocks: int
    size: int
    groups: int
    stride: int
    attention: bool
    expansion: int = 1
    activation: Activation = "relu"


_RESIDUAL = (
    SearchedStage(80, 4, 3, 16, 1, True),
    SearchedStage(160, 6, 5, 16, 2, False),
    SearchedStage(304, 7, 5, 16, 2, True),
    SearchedStage(608, 3, 5, 16, 2, True),
)
_MOBILE = (
    SearchedStage(16, 1, 3, 8, 1, True),
    SearchedStage(24, 4, 7, 120, 2, True, 5),
    SearchedStage(40, 4, 7, 20, 2, False, 4),
    SearchedStage(80, 4, 5, 100, 2, True, 5, "hard_swish"),
    SearchedStage(112, 4, 7, 280, 1, True, 5, "hard_swish"),
    SearchedStage(160, 4, 5, 240, 2, True, 6, "hard_swish"),
)


class ContextAttention(nn.Module):
    """Adds to each pixel a vector that depends on all pixels, by their weights in the image.

    The simplified block of GCNet (Cao et al. 2019, arXiv:1904.11492, fig. 4d).
    """

    hidden: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same shape."""
        batch, channels = x.shape[0], x.shape[-1]
        pixels = x.reshape(batch, -1, channels)
        logits = nn.Dense(1, dtype=self.dtype, name="mask")(pixels).astype(jnp.float32)
        share = jax.nn.softmax(logits, axis=1).astype(pixels.dtype)
        context = jnp.einsum("bpc,bpo->boc", pixels, share)
        y = nn.Dense(self.hidden, dtype=self.dtype, name="fc1")(context)
        y = nn.relu(nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name="norm")(y))
        zeros = nn.initializers.zeros_init()
        return x + nn.Dense(channels, kernel_init=zeros, dtype=self.dtype, name="fc2")(y)[:, None]


class SearchedBottleneck(nn.Module):
    """Residual block of 1x1, grouped and 1x1 convolutions of one width, with context attention."""

    stage: SearchedStage
    stride: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, width]`."""
        stage = self.stage
        conv = partial(ConvNorm, dtype=self.dtype)
        y = conv(stage.width, 1, name="conv_0")(x, train)
        y = conv(stage.width, stage.size, self.stride, stage.groups, name="conv_1")(y, train)
        y = conv(stage.width, 1, activation="none", name="conv_2")(y, train)
        if stage.attention:
            y = ContextAttention(max(16, stage.width // 16), self.dtype, name="attention")(y)
        if x.shape != y.shape:
            shortcut = conv(stage.width, 1, self.stride, activation="none", name="shortcut")
            x = shortcut(x, train)
        return nn.relu(x + y)


class SearchedInvertedResidual(nn.Module):
    """Block of MobileNetV3 (arXiv:1905.02244, fig. 4) whose wide convolution has fewer groups.

    The factor of a channel is (y + 1) / 2, clipped to [0, 1], where y is the output of the two
    layers of squeeze-and-excitation. The first convolution is left out where nothing is expanded.
    """

    stage: SearchedStage
    stride: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, width]`."""
        stage = self.stage
        wide = stage.width * stage.expansion
        conv = partial(ConvNorm, activation=stage.activation, dtype=self.dtype)
        y = x
        if stage.expansion > 1:
            y = conv(wide, 1, name="expand")(y, train)
        y = conv(wide, stage.size, self.stride, stage.groups, name="grouped")(y, train)
        if stage.attention:
            means = y.mean((1, 2), keepdims=True)
            hidden = nn.relu(nn.Dense(wide // 4, dtype=self.dtype, name="fc1")(means))
            gate = nn.Dense(wide, dtype=self.dtype, name="fc2")(hidden)
            y = y * jnp.clip((gate + 1) / 2, 0, 1)
        y = ConvNorm(stage.width, 1, activation="none", dtype=self.dtype, name="project")(y, train)
        return x + y if x.shape == y.shape else y


def through_stages(
    block: type[SearchedBottleneck] | type[SearchedInvertedResidual],
    stages: tuple[SearchedStage, ...],
    x: jax.Array,
    train: bool,
    dtype: str,
) -> jax.Array:
    """Apply the blocks of all stages to `[B, h, w, C]`, within a module that is compact."""
    for s, stage in enumerate(stages):
        for b in range(stage.blocks):
            stride = 1 if b else stage.stride
            x = block(stage, stride, dtype, name=f"stage_{s}_block_{b}")(x, train)
    return x


class ViPNASResNet(nn.Module):
    """Residual trunk of ViPNAS (Xu et al. 2021, arXiv:2105.10154), of stride 32.

    Attributes:
      stages: sizes of each stage.
      stem: channels of the first convolution.
    """

    stages: tuple[SearchedStage, ...] = _RESIDUAL
    stem: int = 48
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, C]`."""
        x = images.astype(self.dtype)
        x = ConvNorm(self.stem, 7, 2, dtype=self.dtype, name="stem")(x, train)
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        return through_stages(SearchedBottleneck, self.stages, x, train, self.dtype)


class ViPNASMobileNet(nn.Module):
    """MobileNetV3 trunk of ViPNAS (Xu et al. 2021, arXiv:2105.10154), of stride 32.

    Attributes:
      stages: sizes of each stage.
      stem: channels of the first convolution.
    """

    stages: tuple[SearchedStage, ...] = _MOBILE
    stem: int = 16
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, C]`."""
        x = images.astype(self.dtype)
        stem = ConvNorm(self.stem, 3, 2, activation="hard_swish", dtype=self.dtype, name="stem")
        x = stem(x, train)
        return through_stages(SearchedInvertedResidual, self.stages, x, train, self.dtype)
