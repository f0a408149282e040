"""Cross-stage partial networks: layers of the backbones and necks of YOLOX and RTMDet."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import Activation, ConvNorm, Norm

BlockKind = Literal["cspnext", "darknet"]
"""Blocks that a CSP layer repeats: those of CSPNeXt or of CSPDarknet."""


@dataclass(frozen=True)
class Style:
    """Settings that all convolutions of one network have in common.

    Attributes:
      norm_momentum: momentum of the batch norms (see `ConvNorm`).
      norm_epsilon: epsilon of the batch norms.
      separable: 3x3 convolutions are depthwise separable (see `SeparableConv`).
      dtype: compute dtype.
      activation: function after the norms.
      norm: "none" for weights whose norms are folded into the convolutions (see `ConvNorm`).
    """

    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    separable: bool = False
    dtype: str = "float32"
    activation: Activation = "silu"
    norm: Norm = "batch"

    def conv(
        self,
        features: int,
        size: int,
        name: str,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
    ) -> ConvNorm:
        """Make a convolution with norm and activation; None takes the style's activation."""
        return ConvNorm(
            features,
            size,
            stride,
            groups,
            activation=activation or self.activation,
            norm_momentum=self.norm_momentum,
            norm_epsilon=self.norm_epsilon,
            kernel_init_std=None,
            dtype=self.dtype,
            norm=self.norm,
            name=name,
        )

    def spatial(self, features: int, size: int, name: str, *, stride: int = 1) -> nn.Module:
        """Make the same, or its depthwise separable form if `separable`."""
        if self.separable:
            return SeparableConv(features, size, stride, self, name=name)
        return self.conv(features, size, name, stride=stride)


class SeparableConv(nn.Module):
    """Depthwise convolution, then 1x1, each with norm and activation (arXiv:1704.04861, fig. 2)."""

    features: int
    size: int
    stride: int = 1
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        channels = x.shape[-1]
        depthwise = self.style.conv(
            channels, self.size, "depthwise", stride=self.stride, groups=channels
        )
        return self.style.conv(self.features, 1, "pointwise")(depthwise(x, train), train)


class CSPNeXtBlock(nn.Module):
    """3x3 convolution, 5x5 depthwise, 1x1 (arXiv:2212.07784, fig. 3b).

    `residual` adds the input, as all stages except the last do.
    """

    features: int
    residual: bool = True
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        y = self.style.spatial(self.features, 3, "conv")(x, train)
        y = self.style.conv(self.features, 5, "depthwise", groups=self.features)(y, train)
        y = self.style.conv(self.features, 1, "pointwise")(y, train)
        return x + y if self.residual else y


class DarknetBlock(nn.Module):
    """1x1 and 3x3 convolution, and the sum with the input (arXiv:1804.02767, section 2.4)."""

    features: int
    residual: bool = True
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        y = self.style.conv(self.features, 1, "reduce")(x, train)
        y = self.style.spatial(self.features, 3, "conv")(y, train)
        return x + y if self.residual else y


class ChannelAttention(nn.Module):
    """Scaling of every channel by a hard sigmoid of a linear function of all channels' means.

    arXiv:2212.07784, section 3.3; the fully connected layer is a 1x1 convolution.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same shape."""
        means = x.mean((1, 2), keepdims=True, dtype=jnp.promote_types(x.dtype, jnp.float32))
        weights = nn.hard_sigmoid(nn.Conv(x.shape[-1], (1, 1), dtype=self.dtype, name="fc")(means))
        return x * weights


class CSPLayer(nn.Module):
    """Cross-stage partial layer (arXiv:1911.11929): blocks on half of the channels.

    Attributes:
      features: output channels.
      blocks: number of blocks.
      kind: kind of the blocks.
      residual: True if the blocks add their input.
      attention: True for channel attention before the last convolution.
    """

    features: int
    blocks: int
    kind: BlockKind = "cspnext"
    residual: bool = True
    attention: bool = True
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        block = CSPNeXtBlock if self.kind == "cspnext" else DarknetBlock
        half = self.features // 2
        short = self.style.conv(half, 1, "short")(x, train)
        main = self.style.conv(half, 1, "main")(x, train)
        for k in range(self.blocks):
            main = block(half, self.residual, self.style, name=f"block_{k}")(main, train)
        x = jnp.concatenate([main, short], axis=-1)
        if self.attention:
            x = ChannelAttention(self.style.dtype, name="attention")(x)
        return self.style.conv(self.features, 1, "final")(x, train)


class SpatialPyramidPooling(nn.Module):
    """Maxima over 5x5, 9x9 and 13x13 windows and the map itself, between 1x1 convolutions.

    He et al. 2014, arXiv:1406.4729, in YOLO's form without strides.
    """

    features: int
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        x = self.style.conv(x.shape[-1] // 2, 1, "reduce")(x, train)
        maps = [x]
        for _ in range(3):
            # A 5x5 maximum of 5x5 maxima is a 9x9 maximum, and so on.
            maps.append(nn.max_pool(maps[-1], (5, 5), padding="SAME"))
        x = jnp.concatenate(maps, axis=-1)
        return self.style.conv(self.features, 1, "merge")(x, train)


LAST_STAGE = 4
"""Number of the stage with the pooling pyramid."""


@dataclass(frozen=True)
class Stages:
    """Stages of a CSP backbone, strides 4 to 32.

    Attributes:
      table: channels and blocks of each stage at factors of one.
      deepen: factor on the number of blocks.
      widen: factor on the number of channels.
      kind: kind of the CSP layers; the last stage's blocks do not add their input.
      attention: whether the CSP layers have channel attention.
      style: style of all convolutions.
    """

    table: tuple[tuple[int, int], ...]
    deepen: float
    widen: float
    kind: BlockKind
    attention: bool
    style: Style

    def __call__(self, x: jax.Array, train: bool, outputs: tuple[int, ...]):
        """The stem's map `x`, of stride 2, -> the maps of a backbone's `outputs`.

        Call it in the compact method of the backbone: the parameters become the backbone's.
        Returns one map, or a tuple of several in ascending order.
        """
        maps = [x]
        for s, (channels, blocks) in enumerate(self.table[: max(outputs)], start=1):
            features, last = int(channels * self.widen), s == LAST_STAGE
            x = self.style.spatial(features, 3, f"stage_{s}_down", stride=2)(x, train)
            if last:
                pyramid = SpatialPyramidPooling(features, self.style, name=f"stage_{s}_pyramid")
                x = pyramid(x, train)
            x = CSPLayer(
                features,
                max(round(blocks * self.deepen), 1),
                self.kind,
                not last,
                self.attention,
                self.style,
                name=f"stage_{s}_csp",
            )(x, train)
            maps.append(x)
        chosen = tuple(maps[i] for i in sorted(outputs))
        return chosen[0] if len(chosen) == 1 else chosen


def check(name: str, images: jax.Array, outputs: tuple[int, ...]) -> None:
    """Check that a CSP backbone takes images of this shape and has these outputs.

    Raises:
      InputError: it does not.
    """
    if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
        raise InputError(
            f"{name} needs images [B, H, W, 3] with H and W multiples of 32, but got "
            f"{list(images.shape)}."
        )
    if not outputs or not set(outputs) <= set(range(LAST_STAGE + 1)):
        raise InputError(f"{name} outputs {outputs} must be indices from 0 (stem) to {LAST_STAGE}.")
