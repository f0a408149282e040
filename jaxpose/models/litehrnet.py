"""Lite-HRNet: a high-resolution network with channel weights in place of 1x1 convolutions."""

from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm, Norm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import repeat, stretch

_MOMENTUM = 0.9


class SeparableConv(nn.Module):
    """3x3 depthwise and 1x1 convolution, each with batch norm, then one activation."""

    features: int
    stride: int = 1
    activation: Literal["relu", "none"] = "relu"
    norm_momentum: float = _MOMENTUM
    dtype: str = "float32"
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / stride, w / stride, features]`."""
        x = ConvNorm(
            x.shape[-1],
            3,
            self.stride,
            groups=x.shape[-1],
            activation="none",
            norm_momentum=self.norm_momentum,
            dtype=self.dtype,
            norm=self.norm,
            name="depthwise",
        )(x, train)
        return ConvNorm(
            self.features,
            1,
            activation=self.activation,
            norm_momentum=self.norm_momentum,
            dtype=self.dtype,
            norm=self.norm,
            name="pointwise",
        )(x, train)


class Stem(nn.Module):
    """Strided convolution, then a strided shuffle block (arXiv:2104.06403, section 3.1)."""

    channels: int
    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, H, W, 3]` -> `[B, H / 4, W / 4, channels]`."""
        half = self.channels // 2
        x = ConvNorm(self.channels, 3, 2, dtype=self.dtype, norm=self.norm, name="conv")(x, train)
        a, b = jnp.split(x, 2, axis=-1)
        b = ConvNorm(self.channels, 1, dtype=self.dtype, norm=self.norm, name="expand")(b, train)
        return _shuffle(
            SeparableConv(half, 2, dtype=self.dtype, norm=self.norm, name="first_half")(a, train),
            SeparableConv(half, 2, dtype=self.dtype, norm=self.norm, name="second_half")(b, train),
        )


class ShuffleBlock(nn.Module):
    """Block of naive Lite-HRNet on one branch: ShuffleNetV2's (arXiv:1807.11164, fig. 3c)."""

    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]`."""
        kept, x = jnp.split(x, 2, axis=-1)
        half = x.shape[-1]
        x = ConvNorm(half, 1, dtype=self.dtype, norm=self.norm, name="expand")(x, train)
        x = SeparableConv(half, dtype=self.dtype, norm=self.norm, name="separable")(x, train)
        return _shuffle(kept, x)


class CrossResolutionWeighting(nn.Module):
    """Weights of every channel and pixel from all resolutions (arXiv:2104.06403, eq. 3 and 4)."""

    reduction: int
    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the same, weighted."""
        last = len(branches) - 1
        x = jnp.concatenate([_pool(x, 2 ** (last - j)) for j, x in enumerate(branches)], axis=-1)
        total = x.shape[-1]
        x = ConvNorm(total // self.reduction, 1, dtype=self.dtype, norm=self.norm, name="squeeze")(
            x, train
        )
        x = ConvNorm(total, 1, activation="none", dtype=self.dtype, norm=self.norm, name="excite")(
            x, train
        )
        ends = [sum(x.shape[-1] for x in branches[: j + 1]) for j in range(last)]
        weights = jnp.split(nn.sigmoid(x), ends, axis=-1)
        return tuple(
            x * repeat(w, 2 ** (last - j))
            for j, (x, w) in enumerate(zip(branches, weights, strict=True))
        )


class SpatialWeighting(nn.Module):
    """Weights of every channel from its mean over all pixels (arXiv:2104.06403, eq. 5)."""

    reduction: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same, weighted."""
        channels = x.shape[-1]
        weights = x.mean((1, 2), keepdims=True)
        small = nn.initializers.normal(0.001)
        for name, width in (("squeeze", channels // self.reduction), ("excite", channels)):
            layer = nn.Dense(width, dtype=self.dtype, kernel_init=small, name=name)
            weights = layer(weights)
            weights = nn.relu(weights) if name == "squeeze" else nn.sigmoid(weights)
        return x * weights


class ConditionalChannelWeighting(nn.Module):
    """Block of Lite-HRNet, on all branches at once (arXiv:2104.06403, fig. 1b)."""

    reduction: int
    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the same shapes."""
        kept, halves = zip(*(jnp.split(x, 2, axis=-1) for x in branches), strict=True)
        halves = CrossResolutionWeighting(
            self.reduction, self.dtype, self.norm, name="cross_resolution"
        )(halves, train)
        outputs = []
        for b, (a, x) in enumerate(zip(kept, halves, strict=True)):
            x = ConvNorm(
                x.shape[-1],
                3,
                groups=x.shape[-1],
                activation="none",
                dtype=self.dtype,
                norm=self.norm,
                name=f"depthwise_{b}",
            )(x, train)
            outputs.append(_shuffle(a, SpatialWeighting(4, self.dtype, name=f"spatial_{b}")(x)))
        return tuple(outputs)


class LiteFusion(nn.Module):
    """Fusion of HRNet with separable convolutions.

    The published code adds the first branch twice. The lower branches get the first one after the
    other branches were added to it, but before the ReLU. The published weights need both.
    """

    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the same shapes."""
        first, *rest = branches
        fused = []
        for i, branch in enumerate(branches):
            width = branch.shape[-1]
            total = 2 * self._bring(first, 0, i, width, train)
            for j, x in enumerate(rest, start=1):
                total = total + self._bring(x, j, i, width, train)
            if i == 0:
                first = total
            fused.append(nn.relu(total))
        return tuple(fused)

    def _bring(self, x: jax.Array, j: int, i: int, width: int, train: bool) -> jax.Array:
        """Branch j at the resolution and width of branch i."""
        name = f"to_{i}_from_{j}"
        if j > i:
            x = ConvNorm(width, 1, activation="none", dtype=self.dtype, norm=self.norm, name=name)(
                x, train
            )
            return repeat(x, 2 ** (j - i))
        for k in range(i - j):
            last = k == i - j - 1
            x = SeparableConv(
                width if last else x.shape[-1],
                2,
                activation="none" if last else "relu",
                # The published code runs this branch twice and updates its statistics twice.
                norm_momentum=_MOMENTUM**2 if j == 0 else _MOMENTUM,
                dtype=self.dtype,
                norm=self.norm,
                name=f"{name}_{k}",
            )(x, train)
        return x


class LiteModule(nn.Module):
    """Blocks on all branches, then one fusion."""

    blocks: int
    block: str
    reduction: int
    dtype: str
    norm: Norm = "batch"

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the same shapes."""
        for k in range(self.blocks):
            if self.block == "weighting":
                branches = ConditionalChannelWeighting(
                    self.reduction, self.dtype, self.norm, name=f"block_{k}"
                )(branches, train)
            else:
                branches = tuple(
                    ShuffleBlock(self.dtype, self.norm, name=f"branch_{b}_block_{k}")(x, train)
                    for b, x in enumerate(branches)
                )
        return LiteFusion(self.dtype, self.norm, name="fusion")(branches, train)


class LiteHRNet(nn.Module):
    """Lite-HRNet backbone (Yu et al. 2021, arXiv:2104.06403).

    Attributes:
      channels: width of each branch, highest resolution first; branch j has stride `4 * 2**j`.
      modules: number of modules of each stage; stage s has s + 2 branches.
      blocks: number of blocks of each module.
      block: "weighting" for conditional channel weighting, "shuffle" for naive Lite-HRNet.
      reduction: divisor of the number of channels inside cross-resolution weighting.
      stem_channels: width of the stem.
      dtype: compute dtype; parameters and norm statistics stay float32.
      norm: "none" for weights whose norms are folded into the convolutions (see `ConvNorm`).
    """

    channels: tuple[int, ...] = (40, 80, 160, 320)
    modules: tuple[int, ...] = (2, 4, 2)
    blocks: int = 2
    block: Literal["weighting", "shuffle"] = "weighting"
    reduction: int = 8
    stem_channels: int = 32
    dtype: str = "float32"
    norm: Norm = "batch"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"(?:stage|merge)_(\d+)(?:_\w+)?/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 4, W / 4, channels[0]]` in `dtype`."""
        self._check(images)
        x = Stem(self.stem_channels, self.dtype, self.norm, name="stem")(
            images.astype(self.dtype), train
        )
        branches: tuple[jax.Array, ...] = (x,)
        for s, modules in enumerate(self.modules):
            branches = self._transition(branches, s, train)
            for m in range(modules):
                branches = LiteModule(
                    self.blocks,
                    self.block,
                    self.reduction,
                    self.dtype,
                    self.norm,
                    name=f"stage_{s}_module_{m}",
                )(branches, train)
        return self._merge(branches, train)

    def _transition(
        self, branches: tuple[jax.Array, ...], s: int, train: bool
    ) -> tuple[jax.Array, ...]:
        """Branches of the previous stage with this one's widths, and a new one of half the size."""
        grown = []
        for b in range(s + 2):
            new = b == len(branches)
            x = branches[-1] if new else branches[b]
            if new or x.shape[-1] != self.channels[b]:
                x = SeparableConv(
                    self.channels[b],
                    2 if new else 1,
                    dtype=self.dtype,
                    norm=self.norm,
                    name=f"stage_{s}_transition_{b}",
                )(x, train)
            grown.append(x)
        return tuple(grown)

    def _merge(self, branches: tuple[jax.Array, ...], train: bool) -> jax.Array:
        """Convolve, enlarge and add the branches, from the lowest resolution up."""
        merged = branches[-1]
        for b in reversed(range(len(branches))):
            if b < len(branches) - 1:
                merged = branches[b] + stretch(merged, 2)
            merged = SeparableConv(
                self.channels[max(b - 1, 0)], dtype=self.dtype, norm=self.norm, name=f"merge_{b}"
            )(merged, train)
        return merged

    def _check(self, images: jax.Array) -> None:
        if len(self.modules) != len(self.channels) - 1:
            raise InputError(
                f"LiteHRNet modules {self.modules} must have one entry fewer than channels "
                f"{self.channels}: the first stage has two branches, every later one adds one."
            )
        if self.block not in ("weighting", "shuffle"):
            raise InputError(f"LiteHRNet block must be weighting or shuffle, not {self.block!r}.")
        stride = 4 * 2 ** (len(self.channels) - 1)
        if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
            raise InputError(
                f"LiteHRNet with {len(self.channels)} branches needs images [B, H, W, 3] with H "
                f"and W multiples of {stride}, but got {list(images.shape)}."
            )


def _shuffle(a: jax.Array, b: jax.Array) -> jax.Array:
    """Interleave the channels of `a` and `b`: concatenation and channel shuffle in two groups."""
    return jnp.stack([a, b], axis=-1).reshape(*a.shape[:-1], 2 * a.shape[-1])


def _pool(x: jax.Array, size: int) -> jax.Array:
    """Mean over `size` x `size` pixels: adaptive average pooling for sizes that are multiples."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // size, size, width // size, size, channels).mean((2, 4))
