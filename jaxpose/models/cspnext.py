"""CSPNeXt: the backbone of RTMDet, of cross-stage partial blocks with large depthwise kernels."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.models.csp import Stages, Style, check
from jaxpose.models.parameter_rules import ParameterRules

# Channels and blocks of the four stages at a factor of one, as published ("P5").
_STAGES = ((128, 3), (256, 6), (512, 6), (1024, 3))
_STEM_CHANNELS = 64


class CSPNeXt(nn.Module):
    """CSPNeXt backbone (RTMDet, Lyu et al. 2022, arXiv:2212.07784).

    Attributes:
      deepen: factor on the number of blocks.
      widen: factor on the number of channels.
      outputs: maps to return: 0 is the stem (stride 2), 1 to 4 are the stages (strides 4 to 32).
      separable: 3x3 convolutions, except the stem's, are depthwise separable, as in RTMDet-nano.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    deepen: float = 1.0
    widen: float = 1.0
    outputs: tuple[int, ...] = (4,)
    separable: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem_\d+/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 1024 * widen]` in `dtype`.

        With several `outputs`, a tuple of them in ascending order, map i of stride `2**(i + 1)`.
        """
        check("CSPNeXt", images, self.outputs)
        style = Style(separable=self.separable, dtype=self.dtype)
        width = int(_STEM_CHANNELS * self.widen)
        half = int(_STEM_CHANNELS * self.widen // 2)
        x = images.astype(self.dtype)
        for i, (features, stride) in enumerate(((half, 2), (half, 1), (width, 1))):
            x = style.conv(features, 3, f"stem_{i}", stride=stride)(x, train)
        stages = Stages(_STAGES, self.deepen, self.widen, "cspnext", True, style)
        return stages(x, train, self.outputs)
