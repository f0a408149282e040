"""Losses of models with several outputs, made of the losses of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class StageSum(Loss):
    """Intermediate supervision: the sum of `loss` over the stages of a model.

    Outputs are a tuple with what each stage gives, all compared with the same targets (stacked
    hourglass, arXiv:1603.06937, section 3.4).
    """

    loss: Loss

    def __call__(self, outputs: Sequence[Any], targets: Any, weights: jax.Array) -> jax.Array:
        if not isinstance(outputs, (tuple, list)):
            raise InputError(
                "StageSum adds up a model's stages, but this model gives a single output; use "
                f"{type(self.loss).__name__} by itself."
            )
        return sum(
            (self.loss(stage, targets, weights) for stage in outputs[1:]),
            start=self.loss(outputs[0], targets, weights),
        )


@dataclass(frozen=True)
class IntegralLoss(Loss):
    """The loss of (coordinates `[B, K, 2]`, heatmaps `[B, h, w, K]`): a weighted sum of two.

    Without `heatmaps` the maps are not supervised (integral regression, arXiv:1711.08229); with
    `HeatmapJS()` it is DSNT's (arXiv:1801.07372).
    """

    coordinates: Loss
    heatmaps: Loss | None = None
    heatmap_weight: float = 1.0

    def __call__(
        self,
        outputs: tuple[jax.Array, jax.Array],
        targets: tuple[jax.Array, jax.Array],
        weights: jax.Array,
    ) -> jax.Array:
        total = self.coordinates(outputs[0], targets[0], weights)
        if self.heatmaps is None:
            return total
        return total + self.heatmap_weight * self.heatmaps(outputs[1], targets[1], weights)


@dataclass(frozen=True)
class WeightedSum(Loss):
    """Several losses of the same output, added up with a factor for each."""

    losses: tuple[Loss, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.losses or len(self.losses) != len(self.factors):
            raise InputError(
                f"{len(self.losses)} losses and {len(self.factors)} factors; give one for each."
            )

    def __call__(self, outputs: Any, targets: Any, weights: jax.Array) -> jax.Array:
        terms = [
            factor * loss(outputs, targets, weights)
            for loss, factor in zip(self.losses, self.factors, strict=True)
        ]
        return sum(terms[1:], start=terms[0])
