"""OpenPose: the first layers of VGG-19, then stages that refine maps and part affinity fields."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.part_affinity import StageParts
from jaxpose.errors import InputError
from jaxpose.models.heads import Final
from jaxpose.models.normalisation import IMAGENET_RGB, Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules

# Channels and convolutions between poolings (arXiv:1409.1556, table 1, column E, up to conv4_2).
VGG_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 2))
# The same up to conv5_2, without the pooling after conv4_4: OpenPose's models of hands and faces.
LONG_VGG_BLOCKS = (*VGG_BLOCKS[:3], (512, 6))
_CHANNELS = 128
_FIRST_STAGE_CHANNELS = 512


def _conv(
    x: jax.Array, features: int, size: int, dtype: str, name: str, slope: str = ""
) -> jax.Array:
    """Convolution and ReLU, or PReLU with parameters `slope`."""
    init = nn.initializers.he_normal()
    layer = nn.Conv(
        features, (size, size), padding=size // 2, dtype=dtype, kernel_init=init, name=name
    )
    x = layer(x)
    return PReLU(name=slope)(x) if slope else nn.relu(x)


class PReLU(nn.Module):
    """ReLU with a learnt slope of each channel below 0 (He et al. 2015, arXiv:1502.01852)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> the same shape and type."""
        slope = self.param("slope", nn.initializers.constant(0.25), (x.shape[-1],), jnp.float32)
        return jnp.where(x >= 0, x, x * slope.astype(x.dtype)[None, None, None])


class VGGStem(nn.Module):
    """First convolutions of VGG-19 (Simonyan & Zisserman 2014, arXiv:1409.1556).

    Attributes:
      dtype: compute dtype.
      blocks: channels and convolutions between poolings.
      last_slopes: PReLU in place of ReLU after the last convolution, as in BODY_25.
      normalisation: normalisation that the weights were trained with.
    """

    dtype: str = "float32"
    blocks: tuple[tuple[int, int], ...] = VGG_BLOCKS
    last_slopes: bool = False
    normalisation: Normalisation = IMAGENET_RGB

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
        if self.normalisation != IMAGENET_RGB:
            images = renormalise(images, self.normalisation)
        x = images.astype(self.dtype)
        for b, (channels, convolutions) in enumerate(self.blocks, start=1):
            if b > 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            for i in range(1, convolutions + 1):
                last = b == len(self.blocks) and i == convolutions
                slope = "last_slopes" if last and self.last_slopes else ""
                x = _conv(x, channels, 3, self.dtype, f"conv_{b}_{i}", slope)
        return x


class OpenPoseHead(nn.Module):
    """Stages of confidence maps and part affinity fields (Cao et al. 2017, arXiv:1611.08050).

    3x3 convolutions (the original's conv4_3_CPM and conv4_4_CPM) reduce the backbone's features to
    128. Every stage has one branch for the maps and one for the fields, which do not share weights;
    from the second stage on, its input is the features and both outputs of the previous stage
    (section 2.2, eq. 1-4). Without limbs it is a convolutional pose machine (Wei et al. 2016,
    arXiv:1602.00134), as OpenPose's models of hands and faces.

    Attributes:
      num_keypoints: K, channels of confidence maps.
      limbs: number of keypoint pairs with a field, of two channels each; 0 leaves out that branch.
      stages: number of stages.
      dtype: compute dtype; the outputs are float32.
      background: adds a map of the places without a keypoint, after the keypoints' maps.
      reduced: channels of the first convolutions.
      first_depth: number of 3x3 convolutions in the first stage.
      rectified: a ReLU after the last stage's maps, as in a port of the published model to
        PyTorch.
    """

    num_keypoints: int
    limbs: int = 0
    stages: int = 6
    dtype: str = "float32"
    background: bool = False
    reduced: tuple[int, ...] = (256, 128)
    first_depth: int = 3
    rectified: bool = False

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"stage_\d+_\w+_final/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, h, w, C]` -> `[B, h, w, K + 2 * limbs]`, maps first; one per stage if `train`.

        With a background there is one map more.
        """
        x = features
        for i, channels in enumerate(self.reduced):
            x = _conv(x, channels, 3, self.dtype, f"reduce_{i}")
        outputs: list[jax.Array] = []
        for s in range(self.stages):
            inputs = jnp.concatenate([x, outputs[-1].astype(x.dtype)], -1) if outputs else x
            maps = self._branch(inputs, self.num_keypoints + self.background, s, "maps")
            if self.rectified and s == self.stages - 1:
                maps = nn.relu(maps)
            branches = [maps]
            if self.limbs:
                branches.append(self._branch(inputs, 2 * self.limbs, s, "fields"))
            outputs.append(jnp.concatenate(branches, axis=-1))
        return tuple(outputs) if train else outputs[-1]

    def _branch(self, x: jax.Array, channels: int, stage: int, kind: str) -> jax.Array:
        """Three 3x3 convolutions in the first stage, five 7x7 later, then two 1x1 (fig. 3)."""
        first = 3, self.first_depth, _FIRST_STAGE_CHANNELS
        size, depth, wide = (7, 5, _CHANNELS) if stage else first
        name = f"stage_{stage}_{kind}"
        for i in range(depth):
            x = _conv(x, _CHANNELS, size, self.dtype, f"{name}_{i}")
        x = _conv(x, wide, 1, self.dtype, f"{name}_{depth}")
        return Final(channels, dtype=self.dtype, name=f"{name}_final")(x)


class DenseOpenPoseHead(nn.Module):
    """Stages of BODY_25: first the fields, then the maps (Cao et al. 2021, arXiv:1812.08008).

    Three chained 3x3 convolutions, all of whose outputs are concatenated, replace each 7x7
    convolution (section 3.2). The input of a stage is the features and the outputs of the previous
    stage of its kind; stages of maps also take the last fields. ReLUs have learnt slopes.

    Attributes:
      num_keypoints: K; there is one map more, of the background.
      limbs: number of keypoint pairs with a field, of two channels each.
      field_stages, map_stages: numbers of stages of both kinds.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    limbs: int
    field_stages: int = 4
    map_stages: int = 2
    dtype: str = "float32"

    background: ClassVar[bool] = True
    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"\w+_final/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[StageParts, ...]:
        """`[B, h, w, C]` -> `[B, h, w, K + 1 + 2 * limbs]`, maps first.

        If `train`, the `StageParts` of each stage: the fields of the first ones, then maps.
        """
        x = features
        for i, channels in enumerate((256, 128)):
            name = f"reduce_{i}"
            x = _conv(x, channels, 3, self.dtype, name, f"{name}_slopes")
        fields: list[jax.Array] = []
        for s in range(self.field_stages):
            fields.append(self._stage([x, *fields[-1:]], 2 * self.limbs, s, "fields"))
        maps: list[jax.Array] = []
        for s in range(self.map_stages):
            inputs = [x, *maps[-1:], fields[-1]]
            maps.append(self._stage(inputs, self.num_keypoints + 1, s, "maps"))
        if train:
            stages = [StageParts(fields=one) for one in fields]
            return (*stages, *(StageParts(maps=one) for one in maps))
        return jnp.concatenate([maps[-1], fields[-1]], axis=-1)

    def _stage(self, inputs: list[jax.Array], channels: int, stage: int, kind: str) -> jax.Array:
        width, wide = (_CHANNELS, 512) if stage else (96, 256)
        x = jnp.concatenate([part.astype(self.dtype) for part in inputs], axis=-1)
        for i in range(5):
            parts: list[jax.Array] = []
            for j in range(3):
                name = f"{kind}_{stage}_{i}_{j}"
                parts.append(
                    _conv(parts[-1] if parts else x, width, 3, self.dtype, name, f"{name}_slopes")
                )
            x = jnp.concatenate(parts, axis=-1)
        name = f"{kind}_{stage}"
        x = _conv(x, wide, 1, self.dtype, f"{name}_wide", f"{name}_wide_slopes")
        return Final(channels, dtype=self.dtype, name=f"{name}_final")(x)
