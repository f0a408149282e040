"""MoveNet: MobileNetV2 with a feature pyramid, and four heads on a map of a quarter of the image.

Sources: TensorFlow's announcement of MoveNet (2021); CenterNet (arXiv:1904.07850, section 4.2).
Layers are those of the graphs of the published models, version 4.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.codecs.center_keypoints import CenterFields
from jaxpose.codecs.center_people import PeopleFields
from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm, Norm
from jaxpose.models.depthwise import DepthwiseConv
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.normalisation import SIGNED_RGB, renormalise
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import enlarge

# Stages of MobileNetV2 whose maps are 1/4, 1/8 and 1/16 of the image.
_STAGES = (1, 2, 3)
# Channels of the path from 1/32 down to 1/4 of the image, after each sum.
PATH = (32, 24, 24)
_TOP = 64
_HEAD = 96
# Probability of a peak before training (arXiv:1708.02002, section 4.1, has 0.01).
_PRIOR_LOGIT = -2.19


class MobileNetV2Pyramid(nn.Module):
    """MobileNetV2 and a path back to a quarter of the image (arXiv:1612.03144, fig. 3).

    Each step enlarges the map twice (bilinear), adds a 1x1 projection of the stage of that size,
    and applies a separable convolution with ReLU.

    Attributes:
      widen: factor on the channels of MobileNetV2, whose last convolution always has 1280.
      norm: "none" for weights whose norms are folded into the convolutions, as the published ones.
      dtype: compute dtype; parameters and norm statistics stay float32.
      whole_path: True returns every map of the path, finest first: 1/4, 1/8, 1/16 and 1/32 of the
        image, with 24, 24, 32 and 64 channels.
    """

    widen: float = 1.0
    norm: Norm = "none"
    dtype: str = "float32"
    whole_path: bool = False

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"mobilenet/stem/.*", stages=r"mobilenet/stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 4, W / 4, 24]` in `dtype`.

        With `whole_path`, a tuple of four maps.

        Raises:
          InputError: H or W is no multiple of 32.
        """
        if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
            raise InputError(
                f"MobileNetV2Pyramid needs images [B, H, W, 3] with H and W multiples of 32, but "
                f"got {list(images.shape)}."
            )
        # Weights of the published models are for values of -1 to 1.
        *stages, x = MobileNetV2(
            self.widen,
            self.dtype,
            self.norm,
            padding="tensorflow",
            last_channels=1280,
            returned=_STAGES,
            name="mobilenet",
        )(renormalise(images, SIGNED_RGB), train)
        x = self._project(x, _TOP, "top")
        path = [x]
        for step, (stage, width) in enumerate(zip(reversed(stages), PATH, strict=True)):
            x = enlarge(x, 2) + self._project(stage, x.shape[-1], f"from_stage_{step}")
            x = DepthwiseConv(3, dtype=self.dtype, name=f"path_{step}_depthwise")(x)
            x = ConvNorm(
                width,
                1,
                kernel_init_std=None,
                dtype=self.dtype,
                norm=self.norm,
                name=f"path_{step}",
            )(x, train)
            path.insert(0, x)
        return tuple(path) if self.whole_path else x

    def _project(self, x: jax.Array, width: int, name: str) -> jax.Array:
        init = nn.initializers.he_normal()
        return nn.Conv(width, (1, 1), dtype=self.dtype, kernel_init=init, name=name)(x)


def _branch(
    features: jax.Array, train: bool, dtype: str, name: str, channels: int, bias: float = 0.0
) -> jax.Array:
    """One field; called in a head, whose parameters then contain the branch `name`."""
    return FieldBranch(channels, bias, dtype, name=name)(features, train)


def _keypoint_fields(
    branch: Callable[..., jax.Array], count: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The four fields that both heads have, for `count` keypoints."""
    return (
        branch("center", 1, _PRIOR_LOGIT),
        branch("heatmaps", count, _PRIOR_LOGIT),
        branch("regression", 2 * count),
        branch("offsets", 2 * count),
    )


class CenterKeypointHead(nn.Module):
    """Four branches of a separable convolution and a 1x1 convolution; see `CenterFields`.

    Attributes:
      num_keypoints: K.
      dtype: compute dtype; parameters stay float32.
    """

    num_keypoints: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"\w+/output/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> CenterFields:
        """`[B, h, w, C]` -> the four fields, float32."""
        branch = partial(_branch, features, train, self.dtype)
        return CenterFields(*_keypoint_fields(branch, self.num_keypoints))


class MultiPoseHead(nn.Module):
    """Branches as those of `CenterKeypointHead`, and two for boxes; see `PeopleFields`.

    Attributes:
      num_keypoints: K.
      dtype: compute dtype; parameters stay float32.
    """

    num_keypoints: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"\w+/output/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> PeopleFields:
        """`[B, h, w, C]` -> the six fields, float32."""
        branch = partial(_branch, features, train, self.dtype)
        fields = _keypoint_fields(branch, self.num_keypoints)
        return PeopleFields(*fields, branch("box_offsets", 2), branch("box_sizes", 2))


class FieldBranch(nn.Module):
    """Separable convolution of 96 channels with ReLU, then a 1x1 convolution.

    Attributes:
      channels: channels of the output.
      bias: initial bias of the output.
      dtype: compute dtype; the output is float32.
    """

    channels: int
    bias: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, channels]`, float32."""
        x = DepthwiseConv(3, dtype=self.dtype, name="depthwise")(x)
        x = ConvNorm(
            _HEAD, 1, kernel_init_std=None, dtype=self.dtype, norm="none", name="pointwise"
        )(x, train)
        return nn.Conv(
            self.channels,
            (1, 1),
            kernel_init=nn.initializers.normal(0.01),
            bias_init=nn.initializers.constant(self.bias),
            dtype="float32",
            name="output",
        )(x)
