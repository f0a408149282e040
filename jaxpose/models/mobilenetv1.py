"""MobileNetV1 (arXiv:1704.04861), and PoseNet's head on it."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.codecs.displacement_fields import PersonFields
from jaxpose.models.conv import ConvNorm, Norm
from jaxpose.models.normalisation import SIGNED_RGB, renormalise
from jaxpose.models.parameter_rules import ParameterRules

# Channels and stride of each separable convolution in PoseNet: table 1 of arXiv:1704.04861 with 512
# channels and stride 1 in the last two rows, where it has 1024 and a stride of 2.
POSENET_LAYERS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(((512, 1),) * 7),
)
_STEM_CHANNELS = 32


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions (Howard et al. 2017, arXiv:1704.04861), no classifier.

    Attributes:
      widen: factor on the number of channels.
      layers: channels and stride of each separable convolution.
      norm: "none" for weights whose norms are folded into the convolutions, as the published ones.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    widen: float = 1.0
    layers: tuple[tuple[int, int], ...] = POSENET_LAYERS
    norm: Norm = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"layer_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, ceil(H / 16), ceil(W / 16), C]` in `dtype`."""
        # Weights of the published models are for values of -1 to 1.
        x = renormalise(images, SIGNED_RGB).astype(self.dtype)
        x = self._conv(int(_STEM_CHANNELS * self.widen), 3, 2, "stem")(x, train)
        for i, (channels, stride) in enumerate(self.layers):
            width = x.shape[-1]
            x = self._conv(width, 3, stride, f"layer_{i}_depthwise", groups=width)(x, train)
            x = self._conv(int(channels * self.widen), 1, 1, f"layer_{i}_pointwise")(x, train)
        return x

    def _conv(self, features: int, size: int, stride: int, name: str, groups: int = 1) -> ConvNorm:
        return ConvNorm(
            features,
            size,
            stride,
            groups,
            padding="tensorflow",
            activation="relu6",
            kernel_init_std=None,
            dtype=self.dtype,
            norm=self.norm,
            name=name,
        )


class DisplacementHead(nn.Module):
    """Four 1x1 convolutions; see `codecs.displacement_fields.PersonFields`.

    Attributes:
      num_keypoints: K, joined by a tree of K - 1 edges.
      dtype: compute dtype; the fields are float32.
    """

    num_keypoints: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"\w+/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> PersonFields:
        """`[B, h, w, C]` -> the four fields, float32."""
        del train  # neither norm nor dropout
        init = nn.initializers.normal(0.01)
        count = self.num_keypoints

        def field(name: str, channels: int) -> jax.Array:
            return nn.Conv(channels, (1, 1), kernel_init=init, dtype="float32", name=name)(features)

        return PersonFields(
            field("heatmaps", count),
            field("offsets", 2 * count),
            field("forward", 2 * (count - 1)),
            field("backward", 2 * (count - 1)),
        )
