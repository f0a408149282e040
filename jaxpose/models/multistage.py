"""A heatmap head for each stage of a network with intermediate supervision."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules


class MultiStageHead(nn.Module):
    """One `DeconvHead` per stage, as in stacked hourglasses and convolutional pose machines.

    Newell et al. 2016, arXiv:1603.06937, section 3.2; Wei et al. 2016, arXiv:1602.00134, section
    3.2. Every stage is supervised in training, and the last one is the prediction.
    """

    num_keypoints: int
    deconv_channels: tuple[int, ...] = ()
    final_size: int = 1
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"stage_\d+/final/.*")

    @nn.compact
    def __call__(
        self, features: tuple[jax.Array, ...], train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """For each stage `[B, h, w, C]` -> heatmaps `[B, h * 2**n, w * 2**n, K]`, n deconvolutions.

        Returns a tuple of all stages' heatmaps if `train`, otherwise those of the last stage.
        """
        if not isinstance(features, tuple):
            raise InputError(
                "MultiStageHead needs one feature map for each stage, but the backbone returns a "
                "single one. Use DeconvHead for it."
            )
        heads = [
            DeconvHead(
                self.num_keypoints,
                self.deconv_channels,
                self.final_size,
                dtype=self.dtype,
                name=f"stage_{s}",
            )
            for s in range(len(features))
        ]
        # Unused stages are computed here too, so that they are initialised; XLA drops them.
        outputs = tuple(head(x, train) for head, x in zip(heads, features, strict=True))
        return outputs if train else outputs[-1]
