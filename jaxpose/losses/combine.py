"""Losses of models with several outputs, made of the losses of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss, Terms, add_up, term


@dataclass(frozen=True)
class StageSum(Loss):
    """Intermediate supervision: the sum of `loss` over the stages of a model.

    Outputs are a tuple with what each stage gives, all compared with the same targets (stacked
    hourglass, arXiv:1603.06937, section 3.4).
    """

    loss: Loss

    def with_terms(
        self, outputs: Sequence[Any], targets: Any, weights: jax.Array
    ) -> tuple[jax.Array, Terms]:
        """The loss, and that of each stage: `stage_1` and so on."""
        if not isinstance(outputs, (tuple, list)):
            raise InputError(
                "StageSum adds up a model's stages, but this model gives a single output; use "
                f"{type(self.loss).__name__} by itself."
            )
        return add_up(
            [
                term(f"stage_{number}", self.loss, stage, targets, weights)
                for number, stage in enumerate(outputs, start=1)
            ]
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

    def with_terms(
        self,
        outputs: tuple[jax.Array, jax.Array],
        targets: tuple[jax.Array, jax.Array],
        weights: jax.Array,
    ) -> tuple[jax.Array, Terms]:
        """The loss, and its terms `coordinates` and `heatmaps`."""
        parts = [term("coordinates", self.coordinates, outputs[0], targets[0], weights)]
        if self.heatmaps is not None:
            factor = self.heatmap_weight
            parts.append(term("heatmaps", self.heatmaps, outputs[1], targets[1], weights, factor))
        return add_up(parts)


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

    def with_terms(self, outputs: Any, targets: Any, weights: jax.Array) -> tuple[jax.Array, Terms]:
        """The loss, and each part with its factor by the name of its class.

        A second part of one class is `<name>_2`.
        """
        return add_up(
            [
                term(name, loss, outputs, targets, weights, factor)
                for name, loss, factor in zip(self._names(), self.losses, self.factors, strict=True)
            ]
        )

    def _names(self) -> list[str]:
        names: list[str] = []
        for loss in self.losses:
            name = type(loss).__name__
            count = sum(known.partition("_")[0] == name for known in names)
            names.append(f"{name}_{count + 1}" if count else name)
        return names
