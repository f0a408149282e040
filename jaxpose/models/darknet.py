"""CSPDarknet: the backbone of YOLOX."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.models.csp import Stages, Style, check
from jaxpose.models.parameter_rules import ParameterRules

# Channels and blocks of the four stages at a factor of one.
_STAGES = ((128, 3), (256, 9), (512, 9), (1024, 3))
_STEM_CHANNELS = 64

# Settings of all batch norms of YOLOX, in its backbone, neck and head.
NORM_MOMENTUM, NORM_EPSILON = 0.97, 1e-3


def yolox_style(separable: bool, dtype: str) -> Style:
    """Style of the convolutions of YOLOX."""
    return Style(NORM_MOMENTUM, NORM_EPSILON, separable, dtype)


class CSPDarknet(nn.Module):
    """CSPDarknet backbone (YOLOX, Ge et al. 2021, arXiv:2107.08430).

    Attributes:
      deepen: factor on the number of blocks.
      widen: factor on the number of channels.
      outputs: maps to return: 0 is the stem (stride 2), 1 to 4 are the stages (strides 4 to 32).
      separable: 3x3 convolutions, except the stem's, are depthwise separable, as in YOLOX-nano.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    deepen: float = 1.0
    widen: float = 1.0
    outputs: tuple[int, ...] = (2, 3, 4)
    separable: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` -> maps of `outputs`, map i `[B, H / s, W / s, C]` of stride `2**(i + 1)`.

        Images are BGR on 0 to 255.
        """
        check("CSPDarknet", images, self.outputs)
        style = yolox_style(self.separable, self.dtype)
        x = focus(images.astype(self.dtype))
        x = style.conv(int(_STEM_CHANNELS * self.widen), 3, "stem")(x, train)
        stages = Stages(_STAGES, self.deepen, self.widen, "darknet", False, style)
        return stages(x, train, self.outputs)


def focus(images: jax.Array) -> jax.Array:
    """Stack every 2x2 pixels as channels of one, column by column, as YOLOv5 and YOLOX do.

    `[B, H, W, C]` -> `[B, H / 2, W / 2, 4 * C]`.
    """
    batch, height, width, channels = images.shape
    cells = images.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return cells.transpose(0, 1, 3, 4, 2, 5).reshape(batch, height // 2, width // 2, 4 * channels)
