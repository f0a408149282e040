"""EfficientNet-Lite: EfficientNet for phones, without squeeze-and-excitation and with ReLU6."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.mobilenetv2 import InvertedResidual, conv_relu6
from jaxpose.models.normalisation import Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules

# Expansion, channels, blocks, stride and kernel of each stage (arXiv:1905.11946, table 1).
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM_CHANNELS = 32
NORM_EPSILON = 1e-3
"""Epsilon of the batch norms."""

LITE_RGB = Normalisation((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""Normalisation of the images that EfficientNet-Lite was trained with."""


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 backbone (tensorflow/tpu models/official/efficientnet/lite).

    The convolution to 1280 channels is part of the classifier (`ClassificationHead`).

    Attributes:
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, 320]` in `dtype`.

        Images have ImageNet's normalisation, as for all models; they are brought to that of the
        published weights first.

        Raises:
          InputError: H or W is no multiple of 32.
        """
        if images.ndim != 4 or images.shape[1] % 32 or images.shape[2] % 32:
            raise InputError(
                "EfficientNetLite needs images [B, H, W, 3] with H and W multiples of 32, but got "
                f"{list(images.shape)}."
            )
        x = renormalise(images, LITE_RGB).astype(self.dtype)
        x = conv_relu6(
            _STEM_CHANNELS,
            3,
            stride=2,
            padding="tensorflow",
            norm_epsilon=NORM_EPSILON,
            dtype=self.dtype,
            name="stem",
        )(x, train)
        for s, (expansion, channels, blocks, stride, size) in enumerate(STAGES):
            for k in range(blocks):
                x = InvertedResidual(
                    channels,
                    stride if k == 0 else 1,
                    expansion,
                    self.dtype,
                    padding="tensorflow",
                    size=size,
                    norm_epsilon=NORM_EPSILON,
                    name=f"stage_{s}_block_{k}",
                )(x, train)
        return x
