"""OpenPose: the first layers of VGG-19, then stages that refine maps and part affinity fields."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules

# Channels and convolutions between poolings (arXiv:1409.1556, table 1, column E, up to conv4_2).
VGG_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 2))
_REDUCED = (256, 128)
_CHANNELS = 128
_FIRST_STAGE_CHANNELS = 512


def _conv(x: jax.Array, features: int, size: int, dtype: str, name: str) -> jax.Array:
    init = nn.initializers.he_normal()
    layer = nn.Conv(
        features, (size, size), padding=size // 2, dtype=dtype, kernel_init=init, name=name
    )
    return nn.relu(layer(x))


class VGGStem(nn.Module):
    """First ten convolutions of VGG-19 (Simonyan & Zisserman 2014, arXiv:1409.1556)."""

    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(stages=r"conv_(\d+)_\d+/.*")

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 8, W / 8, 512]` in `dtype`."""
        del train  # neither norm nor dropout
        if images.ndim != 4 or images.shape[1] % 8 or images.shape[2] % 8:
            raise InputError(
                f"VGGStem needs images [B, H, W, 3] with H and W multiples of 8, but got "
                f"{list(images.shape)}."
            )
        x = images.astype(self.dtype)
        for b, (channels, convolutions) in enumerate(VGG_BLOCKS, start=1):
            if b > 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            for i in range(1, convolutions + 1):
                x = _conv(x, channels, 3, self.dtype, f"conv_{b}_{i}")
        return x


class OpenPoseHead(nn.Module):
    """Stages of confidence maps and part affinity fields (Cao et al. 2017, arXiv:1611.08050).

    Two 3x3 convolutions (the original's conv4_3_CPM and conv4_4_CPM) reduce the backbone's features
    to 128. Every stage has one branch for the maps and one for the fields, which do not share
    weights; from the second stage on, its input is the features and both outputs of the previous
    stage (section 2.2, eq. 1-4). The paper's map of the background is left out: a heatmap codec has
    no target for it.

    Attributes:
      num_keypoints: K, channels of confidence maps.
      limbs: number of keypoint pairs with a field, of two channels each; 0 leaves out that branch.
      stages: number of stages.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    limbs: int = 0
    stages: int = 6
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"stage_\d+_\w+_final/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, h, w, C]` -> `[B, h, w, K + 2 * limbs]`, maps first; one per stage if `train`."""
        x = features
        for i, channels in enumerate(_REDUCED):
            x = _conv(x, channels, 3, self.dtype, f"reduce_{i}")
        outputs: list[jax.Array] = []
        for s in range(self.stages):
            inputs = jnp.concatenate([x, outputs[-1].astype(x.dtype)], -1) if outputs else x
            branches = [self._branch(inputs, self.num_keypoints, s, "maps")]
            if self.limbs:
                branches.append(self._branch(inputs, 2 * self.limbs, s, "fields"))
            outputs.append(jnp.concatenate(branches, axis=-1))
        return tuple(outputs) if train else outputs[-1]

    def _branch(self, x: jax.Array, channels: int, stage: int, kind: str) -> jax.Array:
        """Three 3x3 convolutions in the first stage, five 7x7 later, then two 1x1 (fig. 3)."""
        size, depth, wide = (7, 5, _CHANNELS) if stage else (3, 3, _FIRST_STAGE_CHANNELS)
        name = f"stage_{stage}_{kind}"
        for i in range(depth):
            x = _conv(x, _CHANNELS, size, self.dtype, f"{name}_{i}")
        x = _conv(x, wide, 1, self.dtype, f"{name}_{depth}")
        return Final(channels, dtype=self.dtype, name=f"{name}_final")(x)
