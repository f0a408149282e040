"""FAN: stacked hourglasses of hierarchical blocks for the landmarks of faces."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.heads import Final
from jaxpose.models.norm import BatchNorm
from jaxpose.models.normalisation import UNIT_RGB, Normalisation, renormalise
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import repeat

# Halvings within an hourglass.
_LEVELS = 4


class HierarchicalBlock(nn.Module):
    """Three 3x3 convolutions in a row, whose outputs are concatenated, and the sum with the input.

    Bulat & Tzimiropoulos 2017, arXiv:1703.00862, fig. 3c: half, a quarter and a quarter of the
    channels, each after a norm and a ReLU.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, features]`."""
        parts, y = [], x
        for i, share in enumerate((2, 4, 4)):
            y = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{i}")(y, train))
            y = _conv(self.features // share, 3, False, self.dtype, f"conv_{i}")(y)
            parts.append(y)
        if x.shape[-1] != self.features:
            x = nn.relu(BatchNorm(dtype=self.dtype, name="shortcut_norm")(x, train))
            x = _conv(self.features, 1, False, self.dtype, "shortcut_conv")(x)
        return x + jnp.concatenate(parts, axis=-1)


class FANStem(nn.Module):
    """Layers of FAN before the hourglasses (arXiv:1703.07332, section 3): a map of stride 4.

    Attributes:
      normalisation: normalisation of the weights' images.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    normalisation: Normalisation = UNIT_RGB
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"(conv|norm)/.*", stages=r"block_(\d+)/.*"
    )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 4, W / 4, 256]`.

        Raises:
          InputError: H or W is no multiple of 64.
        """
        stride = 4 * 2**_LEVELS
        if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
            raise InputError(
                f"FAN needs images [B, H, W, 3] with H and W multiples of {stride}, but got "
                f"{list(images.shape)}."
            )
        x = renormalise(images, self.normalisation).astype(self.dtype)
        x = nn.Conv(64, (7, 7), (2, 2), padding=3, dtype=self.dtype, name="conv")(x)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train))
        for i, features in enumerate((128, 128, 256)):
            x = HierarchicalBlock(features, self.dtype, name=f"block_{i}")(x, train)
            x = nn.avg_pool(x, (2, 2), (2, 2)) if i == 0 else x
        return x


class FANHead(nn.Module):
    """Hourglasses one after the other, each with heatmaps that the next one takes as input.

    Bulat & Tzimiropoulos 2017, arXiv:1703.07332, section 3. Every stack is supervised in training,
    and the last one is the prediction.

    Attributes:
      num_keypoints: K.
      stacks: number of hourglasses.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    stacks: int = 4
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"maps_\d+/.*")

    @nn.compact
    def __call__(
        self, features: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, h, w, C]` -> heatmaps `[B, h, w, K]`; a tuple of all stacks' if `train`."""
        x, outputs, width = features, [], features.shape[-1]
        for s in range(self.stacks):
            y = self._level(x, s, 0, train)
            y = HierarchicalBlock(width, self.dtype, name=f"after_{s}")(y, train)
            y = _conv(width, 1, True, self.dtype, f"conv_{s}")(y)
            y = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{s}")(y, train))
            outputs.append(Final(self.num_keypoints, dtype=self.dtype, name=f"maps_{s}")(y))
            if s + 1 < self.stacks:
                maps = outputs[-1].astype(self.dtype)
                x = x + _conv(width, 1, True, self.dtype, f"features_again_{s}")(y)
                x = x + _conv(width, 1, True, self.dtype, f"maps_again_{s}")(maps)
        return tuple(outputs) if train else outputs[-1]

    def _level(self, x: jax.Array, stack: int, level: int, train: bool) -> jax.Array:
        """One level of an hourglass: `[B, h, w, C]` -> the same shape."""

        def block(x: jax.Array, name: str) -> jax.Array:
            name = f"hourglass_{stack}_{name}_{level}"
            return HierarchicalBlock(x.shape[-1], self.dtype, name=name)(x, train)

        up = block(x, "up")
        low = block(nn.avg_pool(x, (2, 2), (2, 2)), "down")
        if level + 1 < _LEVELS:
            low = self._level(low, stack, level + 1, train)
        else:
            low = block(low, "innermost")
        return up + repeat(block(low, "back"), 2)


def _conv(features: int, size: int, bias: bool, dtype: str, name: str) -> nn.Conv:
    init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    return nn.Conv(
        features,
        (size, size),
        padding=size // 2,
        use_bias=bias,
        dtype=dtype,
        kernel_init=init,
        name=name,
    )
