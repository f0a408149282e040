"""Model of a lifting backbone and a head, and the heads of lifters."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.build import PoseModel
from jaxpose.models.parameter_rules import ParameterRules

# Initialisation of PyTorch's linear layers and convolutions, and so of the published lifters.
uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Lifter(PoseModel):
    """Model from 2D keypoints to 3D joints. Parameters are under `backbone` and `head`.

    The backbone has the attributes `frames`, `num_keypoints` and `in_features`.
    """

    def __call__(self, keypoints: jax.Array, train: bool = False) -> jax.Array:
        """Normalised `[B, T, K, in_features]` -> `[B, T_out, K_out, 3]` float32, normalised.

        `in_features` is 2 for (x, y) and 3 for (x, y, confidence). `T_out` depends on the backbone.
        `train=True` updates batch-norm statistics (`mutable=["batch_stats"]`) and needs
        `rngs={"dropout": key}` for backbones with dropout or drop path.
        """
        return self.head(self.backbone(keypoints, train), train)

    def input_shape(self) -> tuple[int, ...]:
        """Shape of a batch of one input, `(1, frames, K, in_features)`."""
        backbone = self.backbone
        return 1, backbone.frames, backbone.num_keypoints, backbone.in_features


class PoseAndTrajectory(nn.Module):
    """Two lifters with the same input: one for root-relative joints, one for the root's path.

    For training on unlabelled video, where the sum of both is projected back to the image
    (arXiv:1811.11742, section 4). Parameters are under `pose` and `trajectory`.
    """

    pose: Lifter
    trajectory: Lifter

    def __call__(self, keypoints: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, T, K, D]` -> joints `[B, T_out, K_out, 3]` and root `[B, T_out, 1, 3]`."""
        return self.pose(keypoints, train), self.trajectory(keypoints, train)

    def input_shape(self) -> tuple[int, ...]:
        """Shape of a batch of one input of the pose lifter."""
        return self.pose.input_shape()


def pose_part(
    model: Lifter | PoseAndTrajectory, variables: dict[str, Any]
) -> tuple[Lifter, dict[str, Any]]:
    """Return the lifter of poses and its variables, the part that is used after training."""
    if isinstance(model, Lifter):
        return model, variables
    return model.pose, {kind: tree.get("pose", {}) for kind, tree in variables.items()}


class CoordinateHead(nn.Module):
    """Linear layer from a frame's features to all its joints.

    `norm` puts a layer norm before it, as PoseFormer does (arXiv:2103.10455, section 3.2).
    """

    num_keypoints: int
    norm: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"joints/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, C]` -> `[B, T, K_out, 3]` float32."""
        batch, frames, channels = features.shape
        x = features.reshape(-1, channels)
        if self.norm:
            x = nn.LayerNorm(1e-5, dtype=self.dtype, name="norm")(x)
        x = nn.Dense(3 * self.num_keypoints, dtype=self.dtype, kernel_init=uniform, name="joints")(
            x
        )
        return x.reshape(batch, frames, self.num_keypoints, 3).astype(jnp.float32)


class JointHead(nn.Module):
    """Hidden layer with tanh and a linear layer, shared by all joints.

    MotionBERT's motion representation and its regression (arXiv:2210.06551, section 3.3).
    """

    num_keypoints: int
    hidden: int = 512
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"joints/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, K, C]` -> `[B, T, K, 3]` float32."""
        x = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=uniform, name="representation")(
            features
        )
        x = nn.Dense(3, dtype=self.dtype, kernel_init=uniform, name="joints")(jnp.tanh(x))
        return x.astype(jnp.float32)
