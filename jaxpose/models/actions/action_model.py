"""Models of a backbone and a head for actions, and the heads."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules


class ActionModel(PoseModel):
    """Model from people's keypoints over time to logits. Parameters: `backbone` and `head`.

    The backbone gets one person at a time and has the attributes `num_keypoints` and
    `in_features`.

    Attributes:
      people: number of people in a clip; people who are absent are zeros.
      frames: number of frames of a clip.
    """

    people: int = 2
    frames: int = 100

    def __call__(self, clips: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, P, K, D]` -> logits `[B, num_classes]` float32.

        `train=True` updates batch-norm statistics (`mutable=["batch_stats"]`) and needs
        `rngs={"dropout": key}` for models with dropout.

        Raises:
          InputError: the number of people is different, or the backbone does not take the shape.
        """
        batch, frames, people, *rest = clips.shape
        if people != self.people:
            raise InputError(
                f"This model takes clips [B, T, {self.people} people, K, D], but got "
                f"{list(clips.shape)}."
            )
        x = clips.transpose(0, 2, 1, 3, 4).reshape(batch * people, frames, *rest)
        x = self.backbone(x, train)
        return self.head(x.reshape(batch, people, *x.shape[1:]), train)

    def input_shape(self) -> tuple[int, ...]:
        """Shape of a batch of one clip, `(1, T, P, K, D)`."""
        backbone = self.backbone
        return 1, self.frames, self.people, backbone.num_keypoints, backbone.in_features


class VolumeModel(PoseModel):
    """Model from volumes of heatmaps to logits. Parameters are under `backbone` and `head`.

    Attributes:
      frames: number of frames of a volume.
      volume_hw: height and width of a volume in cells.
    """

    frames: int = 48
    volume_hw: tuple[int, int] = (56, 56)

    def __call__(self, volumes: jax.Array, train: bool = False) -> jax.Array:
        """`[B, T, H, W, C]` -> logits `[B, num_classes]` float32."""
        return self.head(self.backbone(volumes, train), train)

    def input_shape(self) -> tuple[int, ...]:
        """Shape of a batch of one volume, `(1, T, H, W, C)`."""
        return 1, self.frames, *self.volume_hw, self.backbone.in_features


class ActionHead(nn.Module):
    """Mean over people, frames and places, dropout, and a linear layer.

    Attributes:
      num_classes: number of logits.
      dropout: rate before the linear layer.
    """

    num_classes: int
    dropout: float = 0.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, ..., C]` -> logits `[B, num_classes]` float32."""
        x = features.mean(tuple(range(1, features.ndim - 1)), dtype=jnp.float32)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype, name="linear")(x).astype(jnp.float32)


class MotionHead(nn.Module):
    """MotionBERT's motion representation and its classifier (arXiv:2210.06551, section 3.4).

    Attributes:
      num_classes: number of logits.
      representation: channels of the motion representation of a keypoint.
      hidden: channels of the hidden layer.
      dropout: rate before the mean over frames.
    """

    num_classes: int
    representation: int = 512
    hidden: int = 2048
    dropout: float = 0.0
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, P, T, K, C]` -> logits `[B, num_classes]` float32."""
        x = nn.Dense(self.representation, dtype=self.dtype, name="representation")(features)
        x = nn.Dropout(self.dropout, deterministic=not train)(jnp.tanh(x))
        x = x.mean(axis=2, dtype=jnp.float32)
        x = x.reshape(*x.shape[:2], -1).mean(axis=1)
        x = nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(x)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train))
        return nn.Dense(self.num_classes, dtype=self.dtype, name="linear")(x).astype(jnp.float32)
