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
class LossOfEach(Loss):
    """Sum over the outputs of a model of a loss for each, with a factor and targets for each.

    Such as that of MSPN (arXiv:1901.00148, section 3.3), whose coarser maps have wider targets.
    """

    losses: tuple[Loss, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        check_factors(self.losses, self.factors)

    def with_terms(
        self, outputs: Sequence[Any], targets: Sequence[Any], weights: jax.Array
    ) -> tuple[jax.Array, Terms]:
        """The loss, and that of each output with its factor: `output_1` and so on.

        Raises:
          InputError: the numbers of losses, outputs and targets differ.
        """
        counts = [
            len(given) if isinstance(given, (tuple, list)) else 1 for given in (outputs, targets)
        ]
        if counts != 2 * [len(self.losses)]:
            raise InputError(
                f"LossOfEach has {len(self.losses)} losses, but the model gives {counts[0]} "
                f"outputs in training and the codec {counts[1]} targets."
            )
        each = zip(self.losses, outputs, targets, self.factors, strict=True)
        return add_up(
            [
                term(f"output_{number}", loss, output, target, weights, factor)
                for number, (loss, output, target, factor) in enumerate(each, start=1)
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
        check_factors(self.losses, self.factors)

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


def check_factors(losses: tuple[Loss, ...], factors: tuple[float, ...]) -> None:
    """Raise InputError unless there are losses, and a factor for each."""
    if not losses or len(losses) != len(factors):
        raise InputError(f"{len(losses)} losses and {len(factors)} factors; give one for each.")
