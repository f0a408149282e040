"""SlowOnly: a residual network on volumes of heatmaps, of which late stages see several frames."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.actions.temporal_conv import TemporalConv
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules


class VolumeBlock(nn.Module):
    """Bottleneck block on frames; its first convolution is over three frames if `temporal`."""

    width: int
    stride: int
    frame_stride: int
    temporal: bool
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, T, h, w, C]` -> `[B, T / frame_stride, h / stride, w / stride, 4 * width]`."""
        batch, frames, h, w, channels = x.shape

        def conv(x: jax.Array, features: int, size: int, name: str, **options) -> jax.Array:
            """Apply a 2D convolution to every frame."""
            layer = ConvNorm(
                features, size, kernel_init_std=None, dtype=self.dtype, name=name, **options
            )
            y = layer(x.reshape(-1, *x.shape[2:]), train)
            return y.reshape(batch, -1, *y.shape[1:])

        kept = x[:, :: self.frame_stride]
        if self.temporal:
            flat = x.reshape(batch, frames, h * w, channels)
            first = TemporalConv(self.width, 3, bias=False, dtype=self.dtype, name="conv_0")
            y = nn.relu(first(flat, train)).reshape(batch, frames, h, w, self.width)
        else:
            y = conv(x, self.width, 1, "conv_0")
        y = conv(y[:, :: self.frame_stride], self.width, 3, "conv_1", stride=self.stride)
        y = conv(y, 4 * self.width, 1, "conv_2", activation="none")
        if channels != 4 * self.width or self.stride > 1 or self.frame_stride > 1:
            kept = conv(kept, 4 * self.width, 1, "shortcut", stride=self.stride, activation="none")
        return nn.relu(y + kept)


class SlowOnly(nn.Module):
    """SlowOnly network of PoseC3D (Duan et al. 2022, arXiv:2104.13586, section 3.2).

    Attributes:
      in_features: channels of a volume: keypoints or limbs.
      width: channels of the stem.
      blocks: residual blocks of each stage; every stage halves height and width.
      temporal: True for the stages whose blocks have a convolution over frames.
      frame_strides: step in frames of each stage.
    """

    in_features: int = 17
    width: int = 32
    blocks: tuple[int, ...] = (4, 6, 3)
    temporal: tuple[bool, ...] = (False, True, True)
    frame_strides: tuple[int, ...] = (1, 1, 2)
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, volumes: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, H, W, in_features]` -> `[B, T / 2, H / 8, W / 8, 16 * width]`.

        Raises:
          InputError: a different number of channels, or a height or width that is no multiple of 8.
        """
        stride = 2 ** len(self.blocks)
        shape = volumes.shape
        wrong = volumes.ndim != 5 or shape[-1] != self.in_features
        if wrong or shape[2] % stride or shape[3] % stride:
            raise InputError(
                f"SlowOnly was built for volumes [B, T, H, W, {self.in_features}] with H and W "
                f"multiples of {stride}, but got {list(shape)}."
            )
        frames = volumes.reshape(-1, *shape[2:])
        x = ConvNorm(self.width, 7, kernel_init_std=None, dtype=self.dtype, name="stem")(
            frames, train
        )
        x = nn.max_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)))
        x = x.reshape(*shape[:2], *x.shape[1:])
        for stage, blocks in enumerate(self.blocks):
            for i in range(blocks):
                x = VolumeBlock(
                    self.width * 2**stage,
                    2 if i == 0 else 1,
                    self.frame_strides[stage] if i == 0 else 1,
                    self.temporal[stage],
                    self.dtype,
                    name=f"stage_{stage}_block_{i}",
                )(x, train)
        return x
