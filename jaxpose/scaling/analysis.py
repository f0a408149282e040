"""Analysis of a study: fits the laws that the points support, and gives reasons for the others."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.scaling import frontier, isoflop
from jaxpose.scaling.bootstrap import LEVEL, Ensemble, bootstrap
from jaxpose.scaling.checks import off_centre, reasons_against
from jaxpose.scaling.forecast import (
    Forecast,
    Forecaster,
    forecaster,
    reasons_against_forecasts,
    seed_deviation,
)
from jaxpose.scaling.laws import COMPUTE, JOINT, PARAMETERS, SAMPLES, Form
from jaxpose.scaling.observations import Observations


@dataclass(frozen=True)
class Analysis:
    """Laws of one quantity.

    Attributes:
      quantity: `loss` or `score`; words: its description, such as `1 - AP`.
      points, held_out: the points for fitting and for testing the laws.
      laws: fitted laws by form.
      refused: reasons against a fit, by the form or other result that they concern.
      parts: the points that each law was fitted to, or refused.
      price: FLOPs of a sample by size; None with a single size.
      forecaster: all forms in parameters and samples, weighted by their backtests; None where the
        runs support none.
    """

    quantity: str
    words: str
    points: Observations
    held_out: Observations
    laws: dict[str, Ensemble]
    refused: dict[str, list[str]]
    parts: dict[str, Observations]
    price: frontier.Price | None
    forecaster: Forecaster | None

    @property
    def joint(self) -> Ensemble | None:
        """Law in parameters and samples."""
        return self.laws.get(JOINT.name)


def analyse(
    quantity: str,
    words: str,
    points: Observations,
    held_out: Observations,
    resamples: int = 400,
    anyway: bool = False,
) -> Analysis:
    """Fits every law that the points support.

    The joint law is fitted to all points; the law in compute to the best point of each budget that
    has three sizes or more; those in parameters and samples to runs that are equal in the other.

    Args:
      anyway: fit a law in spite of reasons against it, as long as there are more points than
        parameters; the reasons are kept.
    """
    laws: dict[str, Ensemble] = {}
    refused: dict[str, list[str]] = {}
    parts = _parts(points)
    for form, part in parts.items():
        reasons = reasons_against(form, part, quantity)
        if reasons:
            refused[form.name] = reasons
        if not reasons or (anyway and len(part) > form.size):
            laws[form.name] = bootstrap(form, part.inputs(form), part.value, resamples)
    price = None
    if len(np.unique(points.parameters)) > 1:
        price = frontier.price(points.parameters, points.flops)
    if JOINT.name in laws and price is not None:
        reasons = off_centre(laws[JOINT.name].law, price, points.groups("compute"))
        if reasons:
            refused["frontier"] = reasons
            # If all sizes are too large, the best of them is not on the frontier.
            refused.setdefault(COMPUTE.name, []).extend(reasons)
            if not anyway:
                laws.pop(COMPUTE.name, None)
    by_name = {form.name: part for form, part in parts.items()}
    against = reasons_against_forecasts(points)
    if against:
        refused["forecast"] = against
    stacked = None if against else forecaster(points, resamples)
    return Analysis(quantity, words, points, held_out, laws, refused, by_name, price, stacked)


def _parts(points: Observations) -> dict[Form, Observations]:
    """Points to fit a law of each form to."""
    compared = [group for group in points.groups("compute") if len(group) >= 3]
    best = [group.name[np.argmin(group.value)] for group in compared]
    sizes = [points.where(points.parameters == n) for n in np.unique(points.parameters)]
    return {
        JOINT: points,
        COMPUTE: points.where(np.isin(points.name, best)),
        PARAMETERS: max(points.groups("samples"), key=_extent("parameters"), default=points),
        SAMPLES: max(sizes, key=_extent("samples"), default=points),
    }


def _extent(name: str) -> Any:
    return lambda group: len(np.unique(getattr(group, name)))


def extrapolations(analysis: Analysis) -> list[dict[str, Any]]:
    """Compares predicted and measured values of held-out points and of the largest budget.

    The laws are fitted without these points. Each is a dict of point, predicted, low, high (bounds
    of a new run), measured and error, the relative difference of the prediction.
    """
    stacked, rows = analysis.forecaster, []
    if stacked is None:
        return []
    for i in range(len(analysis.held_out)):
        run = analysis.held_out.where([i])
        found = stacked.forecast(run.run_inputs(), float(run.compute[0]))
        rows.append(_compared(str(run.name[0]), float(run.value[0]), found))
    last = max((case.cut for case in stacked.cases), default=0.0)
    for case, bounds in zip(stacked.cases, stacked.predicted, strict=True):
        if case.cut == last:
            found = Forecast(*bounds, case.reach)
            rows.append(_compared(case.name, case.measured, found) | {"left_out": "largest budget"})
    return rows


def _compared(name: str, measured: float, found: Forecast) -> dict[str, Any]:
    return {
        "point": name,
        "predicted": found.value,
        "low": found.low,
        "high": found.high,
        "measured": measured,
        "error": found.value / measured - 1,
    }


def summary(analysis: Analysis) -> dict[str, Any]:
    """Converts an analysis to JSON types."""
    laws = {
        name: {
            "parameters": ensemble.law.parameters(),
            "intervals": {p: ensemble.interval(p) for p in ensemble.law.parameters()},
            "level": LEVEL,
            "deviation": ensemble.law.deviation,
        }
        for name, ensemble in analysis.laws.items()
    }
    result: dict[str, Any] = {
        "quantity": analysis.words,
        "points": len(analysis.points),
        "laws": laws,
        "not_said": analysis.refused,
        "forms": _forms(analysis.forecaster),
        "extrapolation": extrapolations(analysis),
    }
    joint, price = analysis.joint, analysis.price
    if joint is not None and price is not None and "frontier" not in analysis.refused:
        groups = [g for g in analysis.points.groups("compute") if len(g) >= 3]
        budgets = np.array([g.compute.mean() for g in groups])
        result["frontier"] = {
            "flops_of_a_sample": {"k": price.k, "m": price.m},
            "exponents": _frontier_exponents(joint, price),
            "budgets": budgets.tolist(),
            "best_parameters": frontier.best_size(joint.law, price, budgets).tolist(),
            "best_values": frontier.best_value(joint.law, price, budgets).tolist(),
        }
        result["parabolas"] = isoflop.best_sizes(budgets, [(g.parameters, g.value) for g in groups])
    return result


def _forms(stacked: Forecaster | None) -> dict[str, Any]:
    """Forms that compete, with weights, parameters, intervals and backtests, as JSON types."""
    if stacked is None:
        return {}
    forms = {}
    for name, ensemble in stacked.ensembles.items():
        values = ensemble.law.parameters()
        forms[name] = {
            "weight": stacked.weights[name],
            "parameters": values,
            "intervals": {p: ensemble.interval(p) for p in values},
            "deviation": ensemble.law.deviation,
            "backtests": dataclasses.asdict(stacked.record_of(name)),
        }
    return {
        "forms": forms,
        "backtests": None if stacked.record is None else dataclasses.asdict(stacked.record),
        "seed_deviation": seed_deviation(stacked.points),
        "notes": list(stacked.notes),
    }


def _frontier_exponents(joint: Ensemble, price: frontier.Price) -> dict[str, Any]:
    fitted = frontier.exponents(joint.law, price)
    many = [frontier.exponents(law, price) for law in joint.replicates]
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {
        name: {"value": value, "interval": np.quantile([m[name] for m in many], tails).tolist()}
        for name, value in fitted.items()
    }


def require_a_law(analyses: list[Analysis]) -> None:
    """Raises an error if a study supports no law.

    Raises:
      InputError: the reasons, for each quantity and law.
    """
    if any(analysis.laws or analysis.forecaster for analysis in analyses):
        return
    against: dict[str, dict[str, None]] = {}
    for analysis in analyses:
        for form, reasons in analysis.refused.items():
            for reason in reasons:
                against.setdefault(reason, {})[f"{form} law"] = None
    lines = [f"{', '.join(laws)}: {reason}" for reason, laws in against.items()]
    raise InputError(
        "These points support no law:\n  " + "\n  ".join(lines) + "\n`jaxpose scaling plan` adds "
        "points to a study; --anyway fits all possible laws in spite of this."
    )
