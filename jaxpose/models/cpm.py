"""Convolutional pose machine: heatmaps, refined stage by stage with large kernels."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules


class CPMTrunk(nn.Module):
    """Features of the first stage and of the later ones, which do not share layers.

    Attributes:
      features: channels of the 9x9 convolutions.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    features: int = 128
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 8, W / 8, 512]` and `[..., features]`.

        Raises:
          InputError: the image's sides are not multiples of 8.
        """
        if images.ndim != 4 or images.shape[1] % 8 or images.shape[2] % 8:
            raise InputError(
                "CPM needs images [B, H, W, 3] with H and W multiples of 8, but got "
                f"{list(images.shape)}."
            )

        def reduced(name: str) -> jax.Array:
            x = images.astype(self.dtype)
            for i in range(3):
                x = _conv(x, self.features, 9, f"{name}_{i}", self.dtype, train)
                x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
            return x

        x = reduced("first")
        for i, (width, size) in enumerate(((32, 5), (512, 9), (512, 1)), start=3):
            x = _conv(x, width, size, f"first_{i}", self.dtype, train)
        return x, reduced("later")


class CPMHead(nn.Module):
    """Heatmaps of the first stage, and of later ones, which also see those of the stage before.

    Wei et al. 2016, arXiv:1602.00134, fig. 2, with batch norm.

    Attributes:
      num_keypoints: K.
      stages: number of stages.
      features: channels of the convolutions.
      dtype: compute dtype.
    """

    num_keypoints: int
    stages: int = 6
    features: int = 128
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"stage_\d+_maps/.*")

    @nn.compact
    def __call__(
        self, features: tuple[jax.Array, jax.Array], train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Features of `CPMTrunk` -> `[B, h, w, K]` of all stages if `train`, else of the last."""
        x, later = features
        found: list[jax.Array] = []
        for s in range(self.stages):
            name = f"stage_{s}"
            if s:
                image = _conv(later, 32, 5, f"{name}_image", self.dtype, train)
                x = jnp.concatenate([found[-1], image], axis=-1)
                for i, size in enumerate((11, 11, 11, 1)):
                    x = _conv(x, self.features, size, f"{name}_{i}", self.dtype, train)
            found.append(nn.Dense(self.num_keypoints, dtype=self.dtype, name=f"{name}_maps")(x))
        return tuple(found) if train else found[-1]


def _conv(x: jax.Array, width: int, size: int, name: str, dtype: str, train: bool) -> jax.Array:
    return ConvNorm(width, size, kernel_init_std=None, dtype=dtype, name=name)(x, train)
