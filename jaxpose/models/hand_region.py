"""Network that returns the region of a hand within a larger, rough one.

MediaPipe Holistic (Grishchenko & Bazarevsky 2020) runs it on a region that the body's wrist and
fingers give. The published weights have no paper of their own; the layers are those of Google's
file `hand_recrop.tflite`.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.landmarks import LandmarkOutputs
from jaxpose.models.blaze import Activate, linear
from jaxpose.models.normalisation import UNIT_RGB, Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules


class HandRegionNet(nn.Module):
    """Backbone of residual blocks of stride 2, which first shrink and then convolve.

    The layers named `..._norm` are batch norms with fixed statistics: a factor and a bias for each
    channel.

    Attributes:
      stem: channels of the first convolution, of stride 2.
      blocks: channels between the two convolutions of a block, and of its output.
      normalisation: normalisation of the weights' images.
      dtype: compute dtype; parameters stay float32.
    """

    stem: int = 8
    blocks: tuple[tuple[int, int], ...] = ((8, 16), (16, 32), (32, 64), (32, 64), (16, 32), (8, 16))
    normalisation: Normalisation = UNIT_RGB
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem\w*/.*", stages=r"block_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """Normalised RGB `[B, H, W, 3]` -> one map `[B, H / 128, W / 128, C]` for six blocks."""
        del train  # neither dropout nor a norm with running statistics
        x = renormalise(images, self.normalisation).astype(self.dtype)
        x = linear(self.stem, 3, "stem", self.dtype, stride=2)(x, False)
        x = self._norm(Activate("prelu", name="stem_activation")(x), "stem_norm")
        for k, (inner, features) in enumerate(self.blocks):
            name = f"block_{k}"
            y = Activate("prelu", name=f"{name}_activation_0")(x)
            y = self._norm(y, f"{name}_norm_0")
            y = nn.Conv(inner, (2, 2), 2, padding="VALID", dtype=self.dtype, name=f"{name}_shrink")(
                y
            )
            y = Activate("prelu", name=f"{name}_activation_1")(y)
            y = self._norm(y, f"{name}_norm_1")
            y = linear(inner, 3, f"{name}_depthwise", self.dtype, groups=inner)(y, False)
            y = linear(features, 1, f"{name}_pointwise", self.dtype)(y, False)
            x = nn.max_pool(x, (2, 2), (2, 2))[..., :features]
            x = jnp.pad(x, ((0, 0),) * 3 + ((0, features - x.shape[-1]),)) + y
        return (x,)

    def _norm(self, x: jax.Array, name: str) -> jax.Array:
        channels = x.shape[-1]
        return linear(channels, 1, name, self.dtype, groups=channels)(x, False)


class HandRegionHead(nn.Module):
    """Two points that define a square: its centre, and the middle of its lower side.

    Attributes:
      num_keypoints: always 2.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int = 2
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"points/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> LandmarkOutputs:
        """The last map -> `LandmarkOutputs`, with z of 0 and a presence of 1: it has neither.

        The input is 256x256 pixels in the published model; for larger ones, the points are means of
        several estimates.
        """
        del train
        layer = nn.Conv(
            2 * self.num_keypoints, (2, 2), padding="VALID", dtype=self.dtype, name="points"
        )
        points = layer(maps[-1]).astype(jnp.float32).mean((1, 2))
        points = points.reshape(-1, self.num_keypoints, 2)
        depth = jnp.zeros((*points.shape[:2], 1))
        return LandmarkOutputs(
            jnp.concatenate([points, depth], axis=-1), jnp.ones((len(points), 1))
        )
