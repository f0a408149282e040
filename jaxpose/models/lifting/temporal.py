"""Convolutions over time; with filters of one frame they are a residual MLP on single frames."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.lifting.lifter import uniform
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules


class FrameConv(nn.Module):
    """Convolution over frames without padding or bias, as one matmul.

    The parameter is `kernel [width, C, features]` for every `dilation` and `strided`.

    Attributes:
      features: output channels.
      width: number of input frames of one output.
      dilation: distance in frames between two input frames of one output.
      strided: step by `width` frames, so that no frame is used twice.
    """

    features: int
    width: int
    dilation: int = 1
    strided: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, T, C]` -> `[B, T - dilation * (width - 1), features]`, strided `[B, T / width, .]`.

        If strided, remaining frames at the end, fewer than `width`, are not used.
        """
        batch, frames, channels = x.shape
        kernel = self.param(
            "kernel", _over_frames, (self.width, channels, self.features), jnp.float32
        )
        x = x.astype(self.dtype)
        count = frames
        if self.strided:
            count = frames // self.width
            x = x[:, : count * self.width].reshape(batch, count, self.width * channels)
        elif self.width > 1:
            count = frames - self.dilation * (self.width - 1)
            starts = range(0, self.dilation * self.width, self.dilation)
            x = jnp.concatenate([x[:, start : start + count] for start in starts], axis=-1)
        # One row per window and frame: with two leading axes XLA transposes before it multiplies.
        rows = x.reshape(-1, x.shape[-1]) @ kernel.reshape(-1, self.features).astype(self.dtype)
        return rows.reshape(batch, count, self.features)


def _over_frames(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Initialise a filter with the number of its taps times channels as its fan-in."""
    return uniform(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)


class FrameConvNorm(nn.Module):
    """`FrameConv`, batch norm, ReLU, dropout."""

    features: int
    width: int
    dilation: int
    strided: bool
    dropout: float
    norm_momentum: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, T, C]` -> `[B, T_out, features]`."""
        x = FrameConv(
            self.features, self.width, self.dilation, self.strided, self.dtype, name="conv"
        )(x)
        x = BatchNorm(self.norm_momentum, dtype=self.dtype, name="norm")(x, train)
        return nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))


class TemporalConvolutions(nn.Module):
    """Backbone of VideoPose3D: residual blocks of dilated convolutions (arXiv:1811.11742, fig. 2).

    With filters of one frame, `widths=(1, 1, 1)`, it is the residual MLP of Martinez et al.
    (arXiv:1705.03098, fig. 1), which treats each frame separately.

    Attributes:
      num_keypoints: number of keypoints of the input.
      in_features: number of values of each keypoint.
      widths: frames of each filter, odd; the first is the layer that expands the input, each other
        one a block. Their product is the receptive field.
      channels: width of the network.
      causal: residuals are taken from each window's last frame instead of its middle one, so that
        the outputs are predictions for the last frame.
      strided: strides instead of dilation, for windows of exactly the receptive field: only the
        values that the one output needs are computed. The parameters are the same; the outputs are
        the same in evaluation.
      dropout: rate after each activation.
      norm_momentum: share of the old running statistics that is kept.
    """

    num_keypoints: int = 17
    in_features: int = 2
    widths: tuple[int, ...] = (3, 3, 3)
    channels: int = 1024
    causal: bool = False
    strided: bool = False
    dropout: float = 0.25
    norm_momentum: float = 0.9
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(stages=r"block_(\d+)_\w+/.*")

    @property
    def frames(self) -> int:
        """Receptive field: number of input frames of one output."""
        return math.prod(self.widths)

    @property
    def margins(self) -> tuple[int, int]:
        """Number of input frames of one output before and after the output's frame."""
        return (self.frames - 1, 0) if self.causal else (self.frames // 2, self.frames // 2)

    def _check(self, keypoints: jax.Array) -> None:
        if any(width < 1 or width % 2 == 0 for width in self.widths):
            raise InputError(f"Filters over time must have odd widths, not {self.widths}.")
        expected = (self.num_keypoints, self.in_features)
        if keypoints.ndim != 4 or keypoints.shape[2:] != expected:
            raise InputError(
                f"This lifter was built for keypoints [B, T, {expected[0]}, {expected[1]}], but "
                f"got {list(keypoints.shape)}."
            )
        frames = keypoints.shape[1]
        if frames < self.frames or (self.strided and frames != self.frames):
            amount = "exactly" if self.strided else "at least"
            raise InputError(
                f"Filters of {self.widths} frames need {amount} {self.frames} frames, but got "
                f"{frames}. Repeat the first and last frame of a shorter clip."
            )

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, K, D]` -> `[B, T - frames + 1, channels]`.

        Output i is for input frame `i + margins[0]`.
        """
        self._check(keypoints)

        def layer(name: str, width: int, dilation: int = 1) -> FrameConvNorm:
            return FrameConvNorm(
                self.channels,
                width,
                dilation,
                self.strided and width > 1,
                self.dropout,
                self.norm_momentum,
                self.dtype,
                name=name,
            )

        x = keypoints.reshape(*keypoints.shape[:2], self.num_keypoints * self.in_features)
        x = layer("expand", self.widths[0])(x, train)
        dilation = self.widths[0]
        for i, width in enumerate(self.widths[1:]):
            branch = layer(f"block_{i}_frames", width, dilation)(x, train)
            branch = layer(f"block_{i}_mix", 1)(branch, train)
            kept = width - 1 if self.causal else width // 2
            every = slice(kept, None, width) if self.strided else slice(kept * dilation, None)
            x = x[:, every][:, : branch.shape[1]] + branch
            dilation *= width
        return x
