"""Head of DeepLabCut's models: score maps, and offsets of keypoints from their cells."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.scoremap import ScoremapOutputs
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules


class Doubled(nn.Module):
    """3x3 transposed convolution of stride 2 without padding; the outputs are float32."""

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, h, w, C]` -> `[B, 2 h + 1, 2 w + 1, features]`; `kernel` has PyTorch's taps."""
        init, shape = nn.initializers.normal(0.001), (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            jnp.flip(kernel, (0, 1)).astype(self.dtype),
            window_strides=(1, 1),
            padding=((2, 2), (2, 2)),
            lhs_dilation=(2, 2),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
        )
        return y + bias[None, None, None]


class ScoremapHead(nn.Module):
    """A 1x1 convolution to score maps and, with `refine`, another one to offsets.

    Attributes:
      num_keypoints: K.
      refine: whether there are offsets.
      double: 3x3 transposed convolutions of stride 2 in place of the 1x1 ones: the maps have one
        cell more than twice those of the features on each side.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    refine: bool = True
    double: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(scores|offsets)/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> ScoremapOutputs | jax.Array:
        """`[B, h, w, C]` -> `codecs.scoremap.ScoremapOutputs`, or score maps `[B, h, w, K]`."""
        last = Doubled if self.double else Final
        scores: jax.Array = last(self.num_keypoints, dtype=self.dtype, name="scores")(features)
        if not self.refine:
            return scores
        offsets = last(2 * self.num_keypoints, dtype=self.dtype, name="offsets")(features)
        return ScoremapOutputs(scores, offsets.reshape(*offsets.shape[:3], self.num_keypoints, 2))
