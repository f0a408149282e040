"""CSPNeXt: cross-stage partial blocks with large depthwise kernels, RTMDet's backbone."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm

# Channels and blocks of the four stages at a factor of one, as published ("P5").
_STAGES = ((128, 3), (256, 6), (512, 6), (1024, 3))
_STEM_CHANNELS = 64


def _conv(features: int, size: int, dtype: str, name: str, **options) -> ConvNorm:
    return ConvNorm(
        features, size, activation="silu", kernel_init_std=None, dtype=dtype, name=name, **options
    )


class CSPNeXtBlock(nn.Module):
    """3x3 convolution, 5x5 depthwise, 1x1 (arXiv:2212.07784, fig. 3b).

    `residual` adds the input, as all stages but the last do.
    """

    features: int
    residual: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        y = _conv(self.features, 3, self.dtype, "conv")(x, train)
        y = _conv(self.features, 5, self.dtype, "depthwise", groups=self.features)(y, train)
        y = _conv(self.features, 1, self.dtype, "pointwise")(y, train)
        return x + y if self.residual else y


class ChannelAttention(nn.Module):
    """Every channel scaled by a hard sigmoid of a linear function of all channels' means.

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
      residual: whether the blocks add their input.
      attention: channel attention before the last convolution.
    """

    features: int
    blocks: int
    residual: bool = True
    attention: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        half = self.features // 2
        short = _conv(half, 1, self.dtype, "short")(x, train)
        main = _conv(half, 1, self.dtype, "main")(x, train)
        for k in range(self.blocks):
            main = CSPNeXtBlock(half, self.residual, self.dtype, name=f"block_{k}")(main, train)
        x = jnp.concatenate([main, short], axis=-1)
        if self.attention:
            x = ChannelAttention(self.dtype, name="attention")(x)
        return _conv(self.features, 1, self.dtype, "final")(x, train)


class SpatialPyramidPooling(nn.Module):
    """Maxima over 5x5, 9x9 and 13x13 windows beside the map itself, between 1x1 convolutions.

    He et al. 2014, arXiv:1406.4729, in YOLO's form without strides.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        x = _conv(x.shape[-1] // 2, 1, self.dtype, "reduce")(x, train)
        maps = [x]
        for _ in range(3):
            # The maximum over 5x5 maxima over 5x5 is that over 9x9, and so on.
            maps.append(nn.max_pool(maps[-1], (5, 5), padding="SAME"))
        x = jnp.concatenate(maps, axis=-1)
        return _conv(self.features, 1, self.dtype, "merge")(x, train)


class CSPNeXt(nn.Module):
    """CSPNeXt backbone (RTMDet, Lyu et al. 2022, arXiv:2212.07784).

    Attributes:
      deepen, widen: factors on the number of blocks and of channels.
      outputs: which maps to return: 0 is the stem (stride 2), 1 to 4 the stages (4 to 32).
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    deepen: float = 1.0
    widen: float = 1.0
    outputs: tuple[int, ...] = (4,)
    dtype: str = "float32"

    def _check(self, images: jax.Array) -> None:
        if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
            raise InputError(
                f"CSPNeXt needs images [B, H, W, 3] with H and W multiples of 32, but got "
                f"{list(images.shape)}."
            )
        if not self.outputs or not set(self.outputs) <= set(range(len(_STAGES) + 1)):
            raise InputError(
                f"CSPNeXt outputs {self.outputs} must be indices from 0 (stem) to {len(_STAGES)}."
            )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 1024 * widen]` in `dtype`.

        With several `outputs`, a tuple of them in ascending order, map i of stride `2**(i + 1)`.
        """
        self._check(images)
        width = int(_STEM_CHANNELS * self.widen)
        half = int(_STEM_CHANNELS * self.widen // 2)
        x = images.astype(self.dtype)
        for i, (features, stride) in enumerate(((half, 2), (half, 1), (width, 1))):
            x = _conv(features, 3, self.dtype, f"stem_{i}", stride=stride)(x, train)
        maps = [x]
        for s, (channels, blocks) in enumerate(_STAGES[: max(self.outputs)], start=1):
            features, last = int(channels * self.widen), s == len(_STAGES)
            x = _conv(features, 3, self.dtype, f"stage_{s}_down", stride=2)(x, train)
            if last:
                pyramid = SpatialPyramidPooling(features, self.dtype, name=f"stage_{s}_pyramid")
                x = pyramid(x, train)
            x = CSPLayer(
                features,
                max(round(blocks * self.deepen), 1),
                residual=not last,
                dtype=self.dtype,
                name=f"stage_{s}_csp",
            )(x, train)
            maps.append(x)
        chosen = tuple(maps[i] for i in sorted(self.outputs))
        return chosen[0] if len(chosen) == 1 else chosen
