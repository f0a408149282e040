"""PoseFormer: attention among a frame's joints, then among frames."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.lifting.block import Block
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules

position_init = nn.initializers.truncated_normal(0.02)


class PoseFormer(nn.Module):
    """Spatial, then temporal transformer (Zheng et al. 2021, arXiv:2103.10455, section 3.2).

    Attributes:
      num_keypoints, in_features: shape of the input.
      frames: frames of the input.
      dim: channels of a joint; a frame has `num_keypoints * dim`.
      depth: blocks of each of the two transformers.
      heads: attention heads of both.
      mlp_ratio: hidden width of the blocks' MLPs over their width.
      drop_path: drop rate of the last block of each transformer; the rate rises linearly from 0.
    """

    num_keypoints: int = 17
    in_features: int = 2
    frames: int = 81
    dim: int = 32
    depth: int = 4
    heads: int = 8
    mlp_ratio: float = 2.0
    drop_path: float = 0.1
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"joint_embedding/.*",
        stages=r"(?:spatial|temporal)_(\d+)/.*",
        no_decay=(r"(?:joint|frame)_position",),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[B, frames, K, D]` -> features of the middle frame `[B, 1, K * dim]`."""
        check_sequence(keypoints, self.num_keypoints, self.in_features, self.frames)
        if keypoints.shape[1] != self.frames:
            raise InputError(
                f"This lifter was built for {self.frames} frames, but got {keypoints.shape[1]}."
            )
        batch = keypoints.shape[0]
        x = nn.Dense(self.dim, dtype=self.dtype, name="joint_embedding")(keypoints)
        joint_position = self.param(
            "joint_position", position_init, (self.num_keypoints, self.dim), jnp.float32
        )
        x = x + joint_position[None, None].astype(x.dtype)
        x = x.reshape(batch * self.frames, self.num_keypoints, self.dim)
        x = self._transformer("spatial", x, train)

        width = self.num_keypoints * self.dim
        x = x.reshape(batch, self.frames, width)
        frame_position = self.param(
            "frame_position", position_init, (self.frames, width), jnp.float32
        )
        x = self._transformer("temporal", x + frame_position[None].astype(x.dtype), train)
        # A learned weighted mean of the frames (eq. 8).
        x = nn.Dense(1, dtype=self.dtype, name="frame_mean")(x.transpose(0, 2, 1))
        return x.transpose(0, 2, 1)

    def _transformer(self, name: str, x: jax.Array, train: bool) -> jax.Array:
        """`depth` blocks and a layer norm on `[N, L, C]`."""
        for i in range(self.depth):
            block = Block(
                heads=self.heads,
                mlp_hidden=int(x.shape[-1] * self.mlp_ratio),
                dtype=self.dtype,
                stochastic=train and self.drop_path > 0,
                name=f"{name}_{i}",
            )
            rate = self.drop_path * i / max(self.depth - 1, 1)
            x = block(x, jnp.asarray(rate, jnp.float32))
        return nn.LayerNorm(1e-6, dtype=self.dtype, name=f"{name}_norm")(x)


def check_sequence(keypoints: jax.Array, num_keypoints: int, in_features: int, frames: int) -> None:
    """Check that `keypoints` is `[B, T, num_keypoints, in_features]` with T from 1 to `frames`.

    Raises:
      InputError: its shape is different.
    """
    shape = keypoints.shape
    fits = keypoints.ndim == 4 and shape[2:] == (num_keypoints, in_features)
    if not fits or not 1 <= shape[1] <= frames:
        raise InputError(
            f"This lifter was built for keypoints [B, T, {num_keypoints}, {in_features}] with up "
            f"to {frames} frames, but got {list(shape)}."
        )
