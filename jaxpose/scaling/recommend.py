"""Recommended size, samples and epochs for a budget of compute, and what would make it surer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.scaling.backtests import REPEATED
from jaxpose.scaling.forecast import Forecast, Forecaster
from jaxpose.scaling.frontier import Price
from jaxpose.scaling.plan import MAX_EPOCHS

_GRID = 400


class Choice(NamedTuple):
    """Size and length of a run, and its expected value.

    Attributes:
      samples: number of samples that it sees; epochs: the same over the distinct samples.
    """

    parameters: float
    samples: float
    epochs: float
    forecast: Forecast


class Surer(NamedTuple):
    """Further runs of the study that would narrow the interval of a forecast.

    Attributes:
      runs: number of runs; parameters, samples: of each.
      compute: FLOPs of all of them.
      width: width of the new interval over that of the present one.
    """

    runs: int
    parameters: float
    samples: float
    compute: float
    width: float


@dataclass(frozen=True)
class Budget:
    """Budget of a run and its data.

    Attributes:
      compute: training FLOPs.
      people: distinct samples that there are.
      price: training FLOPs of a sample by size.
      pretrained: 1 for a run from pretrained weights, 0 for one from random ones.
    """

    compute: float
    people: float
    price: Price
    pretrained: float = 0.0

    def inputs(self, sizes: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs of the forms for runs of these sizes that spend the budget."""
        samples = self.compute / self.price(sizes)
        return {
            "parameters": sizes,
            "samples": samples,
            "unique": np.minimum(samples, self.people),
            "pretrained": np.full_like(sizes, self.pretrained),
        }


def choice(found: Forecaster, budget: Budget, size: float) -> Choice:
    """Run of a size that spends the budget, with its forecast."""
    inputs = {name: float(x[0]) for name, x in budget.inputs(np.array([size])).items()}
    forecast = found.forecast(inputs, budget.compute)
    return Choice(size, inputs["samples"], inputs["samples"] / budget.people, forecast)


def best_sizes(
    found: Forecaster, budget: Budget, largest: float | None = None
) -> tuple[float, float, float]:
    """Best size for a budget, and the smallest and largest that differ by less than the noise.

    Args:
      largest: largest size to consider, such as that of a serving budget.

    Raises:
      InputError: `largest` is far below the sizes of the study.
    """
    trained = found.points.parameters
    low, high = trained.min() / 3, trained.max() * 10 * max(1.0, budget.compute / found.largest)
    high = high if largest is None else min(high, largest)
    if high <= low:
        raise InputError(
            f"No size of the study is near {high:.3g} parameters; the smallest has "
            f"{trained.min():.3g}."
        )
    sizes = np.geomspace(low, high, _GRID)
    values = found.values(budget.inputs(sizes))
    best = int(np.argmin(values))
    near = sizes[values < values[best] * (1 + noise(found))]
    return float(sizes[best]), float(near.min()), float(near.max())


def noise(found: Forecaster) -> float:
    """Standard deviation of log values of equal runs, by the weighted forms."""
    parts = (found.weights[name] * e.law.deviation for name, e in found.ensembles.items())
    return float(sum(parts))


def notes(found: Forecaster, budget: Budget, chosen: Choice, anyway: bool) -> list[str]:
    """Qualifications of a recommendation.

    Raises:
      InputError: the budget lies too far beyond the study, unless `anyway`.
    """
    result = [found.require_reach(budget.compute, anyway)]
    trained = found.points.parameters
    if (
        not trained.min() / 2
        < chosen.parameters
        < trained.max() * 2 * (budget.compute / found.largest)
    ):
        result.append(
            f"The best size, {chosen.parameters:.3g}, is far from those of the study "
            f"({trained.min():.3g} to {trained.max():.3g}): add sizes there."
        )
    if chosen.epochs > MAX_EPOCHS and found.points.epochs.max() <= REPEATED:
        result.append(
            f"The run repeats its data {chosen.epochs:.1f} times, and no run of the study does: "
            "repeated samples are worth less than new ones (arXiv:2305.16264), so the forecast is "
            "too good. Add points with --data 0.1 and --max-epochs."
        )
    return [*(note for note in result if note), *found.notes]


def surer(found: Forecaster, budget: Budget, chosen: Choice) -> list[Surer]:
    """Runs that would narrow the interval of `chosen` most for their compute.

    Tried are one and three runs at one, two and four times the largest budget, at its best size,
    as far as they cost less than the budget itself.
    The narrowing is that of linear prediction (kriging): the forms' replicates give the covariance
    of the forecast with the new runs.
    """
    target = budget.inputs(np.array([chosen.parameters]))
    deviation = noise(found)
    rows = []
    for factor in (1.0, 2.0, 4.0):
        part = Budget(factor * found.largest, budget.people, budget.price, budget.pretrained)
        if part.compute >= budget.compute:
            continue
        size = best_sizes(found, part)[0]
        at = part.inputs(np.array([size]))
        curves = _curves(found, [target, at])
        covariance = np.cov(curves[0][:2], aweights=curves[1])
        for runs in (1, 3):
            if runs * part.compute >= budget.compute:
                continue
            known = covariance[0, 1] ** 2 / (covariance[1, 1] + deviation**2 / runs)
            left = covariance[0, 0] - known + deviation**2
            width = float(np.sqrt(left / (covariance[0, 0] + deviation**2)))
            rows.append(Surer(runs, size, float(at["samples"][0]), runs * part.compute, width))
    return rows


def _curves(
    found: Forecaster, places: Sequence[dict[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Log values of all forms' replicates at each place `[p, r]`, and the weight of each `[r]`."""
    columns, weights = [], []
    for name, ensemble in found.ensembles.items():
        for law in ensemble.replicates:
            columns.append([float(np.log(max(law(at)[0], 1e-300))) for at in places])
            weights.append(found.weights[name] / len(ensemble.replicates))
    return np.array(columns).T, np.array(weights)
