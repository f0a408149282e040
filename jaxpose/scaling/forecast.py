"""Forecasts of a run by all forms of a law, weighted by their record; intervals are calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.scaling.backtests import (
    Case,
    Record,
    backtest,
    budgets,
    candidates,
    mixture,
    predictions,
    record,
    record_of,
    stack,
    supports,
    widened,
    widening,
)
from jaxpose.scaling.bootstrap import LEVEL, Ensemble, bootstrap
from jaxpose.scaling.observations import Observations

FARTHEST = 10.0
"""Compute of a forecast over the largest budget of the study, beyond which none is given."""


@dataclass(frozen=True)
class Forecast:
    """Predicted value of a run.

    Attributes:
      value, low, high: median and 90 % interval of a new run.
      reach: its compute over the largest budget of the study.
    """

    value: float
    low: float
    high: float
    reach: float


@dataclass(frozen=True)
class Forecaster:
    """Fitted forms of one quantity, and their record.

    Attributes:
      points: the runs.
      ensembles: fitted forms by name, with their replicates.
      weights: share of each form in a forecast; they sum to 1.
      cases: backtests; predicted: their stacked predictions, each with its bounds.
      record: record of the stacked intervals; None without backtests.
      notes: qualifications that belong to every forecast.
    """

    points: Observations
    ensembles: Mapping[str, Ensemble]
    weights: Mapping[str, float]
    cases: tuple[Case, ...]
    predicted: tuple[tuple[float, float, float], ...]
    record: Record | None
    notes: tuple[str, ...]

    @property
    def largest(self) -> float:
        """Largest budget in FLOPs."""
        return float(self.points.compute.max())

    def draws(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Logarithms of possible values of new runs by form, `[resamples, n]` each."""
        return {name: ensemble.draws(inputs) for name, ensemble in self.ensembles.items()}

    def values(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Weighted geometric mean of the forms' values at inputs of one shape."""
        logs = [self.weights[name] * np.log(e.law(inputs)) for name, e in self.ensembles.items()]
        return np.exp(sum(logs))

    def forecast(self, inputs: Mapping[str, float], compute: float) -> Forecast:
        """Predicts a new run.

        Args:
          inputs: `parameters`, `samples`, `unique` (distinct samples) and `pretrained` (0 or 1).
          compute: training FLOPs of the run.
        """
        at = {name: np.array([value], np.float64) for name, value in inputs.items()}
        draws = {name: values[:, 0] for name, values in self.draws(at).items()}
        reach = max(1.0, compute / self.largest)
        added = widening(self.cases, self.weights, reach)
        return Forecast(*widened(mixture(draws, self.weights), added), compute / self.largest)

    def record_of(self, form: str) -> Record:
        """Record of one form alone, neither stacked nor widened."""
        return record_of(self.cases, form)

    def require_reach(self, compute: float, anyway: bool = False) -> str | None:
        """Checks how far a forecast lies beyond the data; returns the qualification, if any.

        Raises:
          InputError: more than `FARTHEST` times the largest budget, unless `anyway`.
        """
        reach = compute / self.largest
        tested = max((case.reach for case in self.cases), default=1.0)
        record = f"the study's own backtests reach {tested:.3g} times"
        if reach > FARTHEST:
            reason = (
                f"{compute:.3g} FLOPs are {reach:.3g} times the study's largest budget, "
                f"{self.largest:.3g}; {record}. More than {FARTHEST:g} times beyond the data, a "
                "law may have changed its form"
            )
            if not anyway:
                raise InputError(
                    f"{reason}. Add budgets with `jaxpose scaling plan`, or ask for at most "
                    f"{FARTHEST * self.largest:.3g} FLOPs; --anyway extrapolates all the same."
                )
            return f"{reason}: the interval is a guess."
        if reach > 1.2 * tested:
            return (
                f"The forecast lies {reach:.3g} times beyond the data, and {record}: the interval "
                "is widened for that, and not tested."
            )
        return None


def reasons_against_forecasts(points: Observations) -> list[str]:
    """Reasons against forecasts from the runs; empty if there are none."""
    groups = budgets(points)
    if len(groups) < 2:
        size = f"{points.compute.max():.3g} FLOPs" if len(points) else "no run"
        return [
            f"one budget: all runs lie on one curve of equal compute ({size}), and what more "
            "compute is worth cannot be read off it: add budgets"
        ]
    if not any(supports(points, form) for form in candidates(points)):
        return [
            f"too few runs: {len(points)} at {len(groups)} budgets support no law of size and "
            "samples, which needs at least 7 runs, and a factor of 3 in size and in samples"
        ]
    return []


def forecaster(points: Observations, resamples: int = 400) -> Forecaster:
    """Fits all forms that the runs support, and backtests them.

    Raises:
      InputError: the reasons against forecasts from the runs.
    """
    reasons = reasons_against_forecasts(points)
    if reasons:
        raise InputError(f"No forecast: {'; '.join(reasons)}.")
    forms = [form for form in candidates(points) if supports(points, form)]
    names = [form.name for form in forms]
    cases = backtest(points, forms, min(resamples, 200))
    weights = stack(cases, names)
    ensembles = {
        form.name: bootstrap(form, points.inputs(form), points.value, resamples) for form in forms
    }
    predicted = predictions(cases, names)
    kept = record(cases, predicted)
    notes = _notes(points, kept)
    return Forecaster(points, ensembles, weights, cases, predicted, kept, notes)


def _notes(points: Observations, kept: Record | None) -> tuple[str, ...]:
    notes = []
    if seed_deviation(points) is None:
        notes.append(
            "No run was repeated with another seed: the noise is that of the fit, from which a "
            "wrong law cannot be distinguished. Plan some points with --seeds 0,1,2."
        )
    if kept is None:
        notes.append(
            "Fewer than two budgets can be predicted from smaller ones: the coverage of the "
            f"{LEVEL:.0%} interval is not measured."
        )
    return tuple(notes)


def seed_deviation(points: Observations) -> float | None:
    """Standard deviation of log values among runs that differ in the seed alone; None without."""
    keys = np.stack([points.parameters, points.samples, points.unique, points.pretrained], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.ravel()
    logs, counts = np.log(points.value), np.bincount(group)
    freedom = len(logs) - len(counts)
    if freedom == 0:
        return None
    residuals = logs - (np.bincount(group, logs) / counts)[group]
    return float(np.sqrt((residuals**2).sum() / freedom))
