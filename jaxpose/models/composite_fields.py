"""Head of OpenPifPaf: composite fields of keypoints and of associations between them."""

from typing import ClassVar

import flax.linen as nn
import jax

from jaxpose.codecs.composite_fields import CompositeMaps
from jaxpose.models.heads import Final
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import pixel_shuffle

_KEYPOINT, _ASSOCIATION = 5, 8


class CompositeFieldHead(nn.Module):
    """One convolution for each kind of fields, to maps of twice the size.

    Kreiss et al. 2021, arXiv:2103.02440, section 3.2: 1x1 convolutions and sub-pixel convolutions
    (Shi et al. 2016, arXiv:1609.05158), without the last row and the last column.

    Attributes:
      num_keypoints: K.
      associations: number L of pairs of keypoints with a field.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    associations: int
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r".*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> CompositeMaps:
        """`[B, h, w, C]` -> `CompositeMaps` of `2 h - 1` times `2 w - 1` cells."""
        del train
        parts = (
            ("keypoints", self.num_keypoints, _KEYPOINT),
            ("associations", self.associations, _ASSOCIATION),
        )
        maps = []
        for name, fields, numbers in parts:
            x = Final(4 * fields * numbers, dtype=self.dtype, name=name)(features)
            x = pixel_shuffle(x, 2)[:, :-1, :-1]
            maps.append(x.reshape(*x.shape[:3], fields, numbers))
        return CompositeMaps(*maps)
