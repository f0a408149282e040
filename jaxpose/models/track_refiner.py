"""Refiners of 2D tracks: small networks over windows of frames that return corrected keypoints."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.build import PoseModel
from jaxpose.models.parameter_rules import ParameterRules

# Inputs are in sizes of the person; motion and noise are some hundredths of it.
_GAIN = 10.0


class Refiner(PoseModel):
    """Model from noisy keypoints to better ones. Parameters are under `backbone` and `head`.

    The backbone has the attributes `frames` and `num_keypoints`, which is None for one that takes
    any skeleton. A fresh model returns its input.
    """

    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """Keypoints `[B, T, K, 3]` (x, y, known) of `TrackCodec` -> `[B, T, K, 2]` float32.

        `train=True` needs `rngs={"dropout": key}` for backbones with dropout.
        """
        change = self.head(self.backbone(keypoints, train), train)
        return keypoints[..., :2].astype(jnp.float32) + change / _GAIN

    def input_shape(self) -> tuple[int, ...]:
        """Shape of a batch of one input, `(1, frames, K, 3)`; K is 1 if it may be any number."""
        return 1, self.backbone.frames, self.backbone.num_keypoints or 1, 3


class SmoothNet(nn.Module):
    """Fully connected network over time, the same for every coordinate of every keypoint.

    After SmoothNet (Zeng et al. 2022, arXiv:2112.13715, section 3.2), but each coordinate is
    relative to its mean over the window, and which frames are known is an input as well. It takes
    any number of keypoints.

    Attributes:
      frames: frames of a window, T.
      width: features between blocks.
      inner: features within a block.
      blocks: number of residual blocks.
      dropout: share of features that are dropped in training.
      num_keypoints: always None.
    """

    frames: int = 24
    width: int = 256
    inner: int = 128
    blocks: int = 3
    dropout: float = 0.0
    dtype: str = "float32"
    num_keypoints: ClassVar[None] = None

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"encoder/.*", stages=r"block(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, K, 3]` -> features `[B, K, 2, C]` of each coordinate over time."""
        values = jnp.moveaxis(keypoints[..., :2], 1, -1)
        known = jnp.broadcast_to(jnp.moveaxis(keypoints[..., 2:], 1, -1), values.shape)
        moved = _GAIN * (values - values.mean(axis=-1, keepdims=True))
        given = jnp.concatenate([moved, known], axis=-1).astype(self.dtype)
        x = nn.leaky_relu(nn.Dense(self.width, dtype=self.dtype, name="encoder")(given), 0.1)
        for i in range(self.blocks):
            y = x
            for part, size in enumerate((self.inner, self.width)):
                y = nn.Dense(size, dtype=self.dtype, name=f"block{i}_fc{part}")(y)
                y = nn.Dropout(self.dropout, deterministic=not train)(nn.leaky_relu(y, 0.1))
            x = x + y
        # With the input itself, the head may be a linear filter too.
        return jnp.concatenate([x, given], axis=-1)


class TimeHead(nn.Module):
    """Linear layer from the features of a coordinate to its changes in all frames."""

    frames: int = 24
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"changes/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, K, 2, C]` -> `[B, T, K, 2]` float32."""
        zeros = nn.initializers.zeros_init()
        x = nn.Dense(self.frames, dtype=self.dtype, kernel_init=zeros, name="changes")(features)
        return jnp.moveaxis(x, -1, 1).astype(jnp.float32)


class PoseMixer(nn.Module):
    """MLP-Mixer over frames and over all keypoints together, for one skeleton.

    Layers that mix the frames of each feature, then the features of each frame (Tolstikhin et al.
    2021, arXiv:2105.01601, fig. 1). Since it sees all keypoints of a frame, it may recognise a left
    and a right keypoint that were exchanged.

    Attributes:
      num_keypoints: K.
      frames: frames of a window, T.
      width: features of a frame.
      blocks: number of pairs of layers.
      dropout: share of features that are dropped in training.
    """

    num_keypoints: int
    frames: int = 24
    width: int = 128
    blocks: int = 4
    dropout: float = 0.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"encoder/.*", stages=r"block(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, K, 3]` -> features `[B, T, C]` of each frame."""
        batch, frames, count, _ = keypoints.shape
        values = keypoints[..., :2]
        mean = values.mean(axis=1, keepdims=True)
        parts = (_GAIN * (values - mean), jnp.broadcast_to(mean, values.shape), keypoints[..., 2:])
        given = jnp.concatenate(parts, axis=-1).reshape(batch, frames, 5 * count)
        given = given.astype(self.dtype)
        x = nn.Dense(self.width, dtype=self.dtype, name="encoder")(given)
        for i in range(self.blocks):
            for part in ("frames", "features"):
                y = nn.LayerNorm(dtype=self.dtype, name=f"block{i}_{part}_norm")(x)
                y = y.swapaxes(1, 2) if part == "frames" else y
                size = y.shape[-1]
                y = nn.gelu(nn.Dense(2 * size, dtype=self.dtype, name=f"block{i}_{part}_in")(y))
                y = nn.Dropout(self.dropout, deterministic=not train)(y)
                y = nn.Dense(size, dtype=self.dtype, name=f"block{i}_{part}_out")(y)
                x = x + (y.swapaxes(1, 2) if part == "frames" else y)
        x = nn.LayerNorm(dtype=self.dtype, name="norm")(x)
        return jnp.concatenate([x, given], axis=-1)


class PoseHead(nn.Module):
    """Linear layer from the features of a frame to the changes of all its keypoints."""

    num_keypoints: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"changes/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, C]` -> `[B, T, K, 2]` float32."""
        zeros, size = nn.initializers.zeros_init(), 2 * self.num_keypoints
        x = nn.Dense(size, dtype=self.dtype, kernel_init=zeros, name="changes")(features)
        return x.reshape(*features.shape[:2], self.num_keypoints, 2).astype(jnp.float32)


def smoothnet(frames: int = 24, *, width: int = 256, blocks: int = 3, **fields: float) -> Refiner:
    """`SmoothNet` with its head; takes any skeleton."""
    backbone = SmoothNet(frames, width, width // 2, blocks, **fields)  # type: ignore[arg-type]
    return Refiner(backbone, TimeHead(frames))


def pose_mixer(
    num_keypoints: int, frames: int = 24, *, width: int = 128, blocks: int = 4, **fields: float
) -> Refiner:
    """`PoseMixer` with its head, for one skeleton."""
    backbone = PoseMixer(num_keypoints, frames, width, blocks, **fields)  # type: ignore[arg-type]
    return Refiner(backbone, PoseHead(num_keypoints))
