"""Head of DensePose: a body's parts, and the place of each pixel on the part."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.codecs.densepose import PARTS, SurfaceOutputs
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import Deconv, enlarge


class DensePoseHead(nn.Module):
    """Convolutions with ReLU, a deconvolution to all maps, and a bilinear enlargement by two.

    The head of DensePose-RCNN (Güler et al. 2018, arXiv:1802.00434, section 4.2) for the features
    of one person's crop; the deconvolutions of its four outputs are one here. The maps are four
    times as large as the features. The convolutions' biases begin at 0 and their weights as He
    et al.'s (arXiv:1502.01852).

    Attributes:
      coarse: channels of the coarse segmentation, 2 or 15.
      convs: number of 3x3 convolutions.
      width: their channels.
    """

    coarse: int = 2
    convs: int = 8
    width: int = 512
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"maps/.*|maps_bias")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> SurfaceOutputs:
        """`[B, h, w, C]` -> `SurfaceOutputs` of `[B, 4 h, 4 w, ...]`, float32."""
        x = features.astype(self.dtype)
        for i in range(self.convs):
            x = nn.Conv(
                self.width,
                (3, 3),
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                name=f"conv_{i}",
            )(x)
            x = nn.relu(x)
        each = (self.coarse, PARTS + 1, PARTS + 1, PARTS + 1)
        maps = Deconv(sum(each), dtype=self.dtype, name="maps")(x)
        bias = self.param("maps_bias", nn.initializers.zeros_init(), (sum(each),), jnp.float32)
        maps = enlarge(maps.astype(jnp.float32) + bias[None, None, None], 2)
        ends = [sum(each[: i + 1]) for i in range(len(each) - 1)]
        return SurfaceOutputs(*jnp.split(maps, ends, axis=-1))
