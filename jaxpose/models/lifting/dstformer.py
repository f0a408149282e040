"""DSTFormer: two streams of attention over joints and frames, in opposite order."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.lifting.block import Block
from jaxpose.models.lifting.poseformer import check_sequence, position_init
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules


class Layer(nn.Module):
    """Two streams, joints then frames and frames then joints, and their learned mixture.

    MotionBERT, arXiv:2210.06551, fig. 3 and eq. 3.
    """

    heads: int
    mlp_hidden: int
    dtype: str
    stochastic: bool

    @nn.compact
    def __call__(self, x: jax.Array, drop_rate: jax.Array) -> tuple[jax.Array, None]:
        """`[B, T, K, C]` and the drop rate -> (`[B, T, K, C]`, None), as `nn.scan` requires."""

        def block(name: str) -> Block:
            return Block(self.heads, self.mlp_hidden, self.dtype, self.stochastic, name=name)

        def over_joints(x: jax.Array, name: str) -> jax.Array:
            tokens = x.reshape(-1, *x.shape[2:])
            return block(name)(tokens, drop_rate).reshape(x.shape)

        def over_frames(x: jax.Array, name: str) -> jax.Array:
            return over_joints(x.swapaxes(1, 2), name).swapaxes(1, 2)

        space_first = over_frames(over_joints(x, "st_space"), "st_time")
        time_first = over_joints(over_frames(x, "ts_time"), "ts_space")
        share = nn.Dense(
            2,
            dtype=self.dtype,
            kernel_init=nn.initializers.zeros_init(),
            bias_init=nn.initializers.constant(0.5),
            name="mixture",
        )(jnp.concatenate([space_first, time_first], axis=-1))
        share = jax.nn.softmax(share.astype(jnp.float32), axis=-1).astype(x.dtype)
        return space_first * share[..., :1] + time_first * share[..., 1:], None


class DSTFormer(nn.Module):
    """Dual-stream spatio-temporal transformer (Zhu et al. 2023, MotionBERT, arXiv:2210.06551).

    Parameters of all layers are stored stacked, `[depth, ...]`.

    Attributes:
      num_keypoints, in_features: shape of the input; MotionBERT takes (x, y, confidence).
      frames: largest number of frames; a shorter sequence gets the first position embeddings.
      dim, depth, heads: width, layers, attention heads.
      mlp_ratio: hidden width of the MLPs over `dim`.
      drop_path: drop rate of the last layer; the rate rises linearly from 0.
    """

    num_keypoints: int = 17
    in_features: int = 3
    frames: int = 243
    dim: int = 512
    depth: int = 5
    heads: int = 8
    mlp_ratio: float = 2.0
    drop_path: float = 0.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"joint_embedding/.*",
        stacked=r"layers/.*",
        no_decay=(r"(?:joint|frame)_position",),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @nn.compact
    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, K, D]` -> `[B, T, K, dim]`."""
        check_sequence(keypoints, self.num_keypoints, self.in_features, self.frames)
        x = nn.Dense(self.dim, dtype=self.dtype, name="joint_embedding")(keypoints)
        joint_position = self.param(
            "joint_position", position_init, (self.num_keypoints, self.dim), jnp.float32
        )
        frame_position = self.param(
            "frame_position", position_init, (self.frames, self.dim), jnp.float32
        )
        frame_position = frame_position[: x.shape[1]]
        x = x + (joint_position[None] + frame_position[:, None])[None].astype(x.dtype)
        layers = nn.scan(
            Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.depth,
        )(
            heads=self.heads,
            mlp_hidden=int(self.dim * self.mlp_ratio),
            dtype=self.dtype,
            stochastic=train and self.drop_path > 0,
            name="layers",
        )
        x, _ = layers(x, jnp.linspace(0.0, self.drop_path, self.depth))
        return nn.LayerNorm(1e-6, dtype=self.dtype, name="norm")(x)
