"""Neck and head of PP-PicoDet (Yu et al. 2021, arXiv:2111.00902)."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.csp import SeparableConv, Style
from jaxpose.models.detection import RARE, Level, predict
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.upsample import repeat

_SIZE = 5


class LightPathAggregation(nn.Module):
    """Path aggregation of separable convolutions, with a fourth level (arXiv:2111.00902, fig. 2).

    Attributes:
      features: channels of every map.
      style: style of all convolutions.
    """

    features: int
    style: Style

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[jax.Array, ...]:
        """Maps of strides 8, 16 and 32 -> maps `[B, h, w, features]` of 8, 16, 32 and 64."""
        maps = tuple(
            self.style.conv(self.features, 1, f"reduce_{i}")(x, train) for i, x in enumerate(maps)
        )
        reduced = [maps[-1]]
        for i, low in enumerate(reversed(maps[:-1])):
            joined = jnp.concatenate([repeat(reduced[-1], 2), low], axis=-1)
            reduced.append(self._join(joined, f"down_{i}", train))
        path = [reduced.pop()]
        for i, low in enumerate(reversed(reduced)):
            down = self._separable(self.features, 2, f"shrink_{i}")(path[-1], train)
            path.append(self._join(jnp.concatenate([down, low], axis=-1), f"up_{i}", train))
        before = self._separable(self.features, 2, "extra_before")(maps[-1], train)
        after = self._separable(self.features, 2, "extra_after")(path[-1], train)
        return *path, before + after

    def _join(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        x = self._separable(x.shape[-1], 1, f"{name}_0")(x, train)
        return self._separable(self.features, 1, f"{name}_1")(x, train)

    def _separable(self, features: int, stride: int, name: str) -> SeparableConv:
        return SeparableConv(features, _SIZE, stride, self.style, name=name)


class PicoDetHead(nn.Module):
    """Head of PicoDet with task alignment: convolutions for each level, and binned distances.

    A distance is the mean of a distribution over whole strides (generalised focal loss,
    arXiv:2006.04388, eq. 4). The objectness is the alignment of class and box (arXiv:2108.07755,
    section 3.1); the score is the geometric mean of its probability and the class's.

    Attributes:
      num_classes: C.
      features: channels of its convolutions.
      style: style of all convolutions.
      convs: number of separable convolutions before the outputs.
      bins: number of bins of each distance.
    """

    num_classes: int
    features: int
    style: Style
    convs: int = 2
    bins: int = 8

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"(?:box|class)_\d+/.*")

    @nn.compact
    def __call__(self, maps: tuple[jax.Array, ...], train: bool = False) -> tuple[Level, ...]:
        """Maps `[B, h, w, features]` -> a `Level` each.

        Boxes are distances from the place's centre to the left, top, right and bottom.
        """
        return tuple(self._level(x, i, train) for i, x in enumerate(maps))

    def _level(self, x: jax.Array, i: int, train: bool) -> Level:
        for k in range(self.convs):
            x = SeparableConv(self.features, _SIZE, 1, self.style, name=f"conv_{i}_{k}")(x, train)
        align = self.style.conv(1, _SIZE, f"align_{i}_0")(x, train)
        align = self.style.conv(1, 1, f"align_{i}_1", activation="none")(align, train)
        means = x.mean((1, 2), keepdims=True, dtype=jnp.promote_types(x.dtype, jnp.float32))
        fc = nn.Conv(self.features, (1, 1), dtype=self.style.dtype, name=f"attention_{i}_fc")
        x = x * nn.sigmoid(fc(means))
        x = self.style.conv(self.features, 1, f"attention_{i}_conv")(x, train)
        bins = predict(4 * self.bins, f"box_{i}")(x)
        bins = nn.softmax(bins.reshape(*bins.shape[:-1], 4, self.bins))
        distances = (bins * jnp.arange(self.bins)[None, None, None, None]).sum(-1)
        logits = predict(self.num_classes, f"class_{i}", RARE)(x)
        return Level(distances, logits, align.astype(jnp.promote_types(align.dtype, jnp.float32)))
