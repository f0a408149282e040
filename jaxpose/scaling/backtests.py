"""Backtests of laws: every budget of a study, predicted from the smaller ones by every form.

A form is judged by these predictions, not by its fit. Its weight in a forecast is that of stacking
(Yao et al. 2018, arXiv:1704.02030): the weights maximise the density that the mixture of all forms
gave to the runs. The mixture's intervals are widened on each side until they would have held the
runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.scaling.bootstrap import LEVEL, bootstrap
from jaxpose.scaling.checks import LEAST_RANGE, SPARE
from jaxpose.scaling.effective_samples import with_repeats, with_start
from jaxpose.scaling.laws import BROKEN, COUPLED, JOINT, Form
from jaxpose.scaling.observations import Observations

PLAIN = (JOINT, COUPLED, BROKEN)
REPEATED = 3.0
"""Epochs beyond which a study can measure what repeated data are worth."""
_NEAREST = 10
_PRIOR = 0.5  # of a case: no form is ruled out by a few cases
_T_FREEDOM = 5.0
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Case:
    """One run that was predicted from the smaller budgets.

    Attributes:
      name: the run.
      cut: largest budget that was fitted.
      reach: budget of the run over `cut`.
      next: True if its budget is the first one beyond `cut`.
      measured: its value.
      draws: by form, logarithms of possible values `[resamples]`. Forms that the smaller budgets do
        not support are missing.
    """

    name: str
    cut: float
    reach: float
    next: bool
    measured: float
    draws: Mapping[str, np.ndarray]

    def log_density(self, form: str) -> float:
        """Logarithm of the density that a form gave to the run, with heavy tails."""
        draws = self.draws[form]
        low, middle, high = np.quantile(draws, [0.1587, 0.5, 0.8413])
        deviation = max((high - low) / 2, _LEAST_DEVIATION)
        z = (math.log(self.measured) - middle) / deviation
        tails = (_T_FREEDOM + 1) / 2 * math.log1p(z * z / _T_FREEDOM)
        return -tails - math.log(deviation)


@dataclass(frozen=True)
class Record:
    """Record of intervals in backtests. Each cut is judged with what the other cuts taught.

    Attributes:
      hits, cases: number of runs inside their intervals, and of all.
      width: mean of the half width over the value.
      error: mean absolute error over the value.
    """

    hits: int
    cases: int
    width: float
    error: float

    def __str__(self) -> str:
        return (
            f"{self.hits} of {self.cases} runs of next budgets inside their {LEVEL:.0%} intervals, "
            f"half width {self.width:.1%}, error {self.error:.1%}"
        )


def candidates(points: Observations) -> tuple[Form, ...]:
    """Forms that a study can compare.

    The laws of N and D; those of effective samples where runs repeat their data; with a factor for
    a pretrained start where some runs, not all, have one.
    """
    forms: tuple[Form, ...] = PLAIN
    if points.epochs.max(initial=1.0) > REPEATED:
        forms = (*forms, *map(with_repeats, forms))
    if len(np.unique(points.pretrained)) > 1:
        forms = tuple(map(with_start, forms))
    return forms


def budgets(points: Observations) -> list[Observations]:
    """Runs by budget of compute; by samples seen, where no budget of compute has three runs."""
    groups = points.groups("compute")
    return groups if any(len(g) >= 3 for g in groups) else points.groups("samples")


def supports(points: Observations, form: Form) -> bool:
    """Returns True if the runs suffice to fit a form of N and D."""
    if len(points) < form.size + SPARE or len(budgets(points)) < 2:
        return False
    if "unique" in form.inputs and points.epochs.max() <= REPEATED:
        return False
    if "pretrained" in form.inputs and len(np.unique(points.pretrained)) < 2:
        return False
    spread = (x.max() / x.min() for x in (points.parameters, points.samples))
    return min(spread) >= LEAST_RANGE


def backtest(points: Observations, forms: Sequence[Form], resamples: int = 200) -> tuple[Case, ...]:
    """Fits each form to the runs below every budget, and predicts those of all larger budgets."""
    groups, cases = budgets(points), []
    for place in range(2, len(groups)):
        known, asked = _joined(points, groups[:place]), _joined(points, groups[place:])
        draws = {
            form.name: bootstrap(form, known.inputs(form), known.value, resamples).draws(
                asked.inputs(form)
            )
            for form in forms
            if supports(known, form)
        }
        if not draws:
            continue
        cut = float(groups[place - 1].compute.max())
        soon = np.isin(asked.name, groups[place].name)
        for i in range(len(asked)):
            cases.append(
                Case(
                    name=str(asked.name[i]),
                    cut=cut,
                    reach=float(asked.compute[i]) / cut,
                    next=bool(soon[i]),
                    measured=float(asked.value[i]),
                    draws={name: values[:, i] for name, values in draws.items()},
                )
            )
    return tuple(cases)


def _joined(points: Observations, groups: Sequence[Observations]) -> Observations:
    return points.where(np.isin(points.name, np.concatenate([group.name for group in groups])))


def stack(cases: Sequence[Case], forms: Sequence[str]) -> dict[str, float]:
    """Weights of forms by their record; equal without cases.

    A form that some cases do not support has the mean density of the others there, which neither
    helps nor harms it.
    """
    weights = np.full(len(forms), 1 / len(forms))
    rows = []
    for case in cases:
        known = {name: case.log_density(name) for name in forms if name in case.draws}
        if known:
            top = max(known.values())
            density = {name: math.exp(value - top) for name, value in known.items()}
            mean = sum(density.values()) / len(density)
            rows.append([density.get(name, mean) for name in forms])
    if not rows:
        return dict(zip(forms, weights.tolist(), strict=True))
    densities = np.array(rows)
    for _ in range(500):  # expectation maximisation of a mixture with fixed parts
        shares = densities * weights
        shares /= shares.sum(1, keepdims=True)
        counts = shares.sum(0) + _PRIOR
        weights = counts / counts.sum()
    return dict(zip(forms, weights.tolist(), strict=True))


def mixture(
    draws: Mapping[str, np.ndarray], weights: Mapping[str, float], level: float = LEVEL
) -> tuple[float, float, float]:
    """Median and bounds of the logarithm under a weighted mixture of draws `[r]` by form."""
    parts = [(values, weights[name]) for name, values in draws.items()]
    values = np.concatenate([v for v, _ in parts])
    mass = np.concatenate([np.full(len(v), w / len(v)) for v, w in parts])
    order = np.argsort(values)
    values, mass = values[order], mass[order]
    place = (np.cumsum(mass) - mass / 2) / mass.sum()
    low, middle, high = np.interp([(1 - level) / 2, 0.5, (1 + level) / 2], place, values)
    return float(middle), float(low), float(high)


def widening(
    cases: Sequence[Case], weights: Mapping[str, float], reach: float, level: float = LEVEL
) -> tuple[float, float]:
    """Logarithms that are added to the lower and the upper side of the mixture's intervals.

    With them, each side would have held its part of the cases, so that a bias of the laws widens
    one side only (conformalised quantiles: Romano et al. 2019, arXiv:1905.03222). Only the cases of
    the nearest reach count, at least `_NEAREST`. Beyond all of them the additions grow with the
    logarithm of the reach, as the difference of two power laws does. They are at least 0: a good
    record on a few cases does not narrow an interval.
    """
    if not cases:
        return 0.0, 0.0
    away = np.array([abs(math.log(case.reach / reach)) for case in cases])
    limit = max(np.sort(away)[min(_NEAREST, len(away)) - 1], away.min() + math.log(1.2))
    near = [case for case, distance in zip(cases, away, strict=True) if distance <= limit]
    outside = []
    for case in near:
        _, low, high = mixture(case.draws, weights)
        measured = math.log(case.measured)
        outside.append((low - measured, measured - high))
    rank = min(len(near), math.ceil((1 + level) / 2 * (len(near) + 1)))
    below, above = np.sort(outside, axis=0)[rank - 1]
    tested = max(1.2, *(case.reach for case in near))
    growth = max(1.0, math.log(reach) / math.log(tested))
    return growth * max(0.0, float(below)), growth * max(0.0, float(above))


def widened(
    bounds: tuple[float, float, float], added: tuple[float, float]
) -> tuple[float, float, float]:
    """Value and bounds from those of the logarithm, with `added` on the two sides."""
    middle, low, high = bounds
    value, low, high = (math.exp(min(x, 700.0)) for x in (middle, low - added[0], high + added[1]))
    return value, low, high


def predictions(
    cases: Sequence[Case], forms: Sequence[str]
) -> tuple[tuple[float, float, float], ...]:
    """Stacked prediction of each case and its bounds.

    Weights and additions come from the predictions of other runs from other cuts.
    """
    found = {}
    for cut, soon in sorted({(case.cut, case.next) for case in cases}):
        asked = [case for case in cases if (case.cut, case.next) == (cut, soon)]
        names = {case.name for case in asked}
        others = [case for case in cases if case.cut != cut and case.name not in names]
        weights = stack(others, forms)
        for case in asked:
            added = widening(others, weights, case.reach)
            found[cut, case.name] = widened(mixture(case.draws, weights), added)
    return tuple(found[case.cut, case.name] for case in cases)


def record(cases: Sequence[Case], predicted: Sequence[tuple[float, float, float]]) -> Record | None:
    """Record of stacked intervals on next budgets; None with fewer than two cuts to learn from."""
    if len({case.cut for case in cases}) < 2:
        return None
    pairs = zip(cases, predicted, strict=True)
    return _record([(case, bounds) for case, bounds in pairs if case.next])


def record_of(cases: Sequence[Case], form: str) -> Record:
    """Record of one form's own intervals on next budgets, neither stacked nor widened."""
    return _record(
        [
            (case, widened(mixture({form: case.draws[form]}, {form: 1.0}), (0.0, 0.0)))
            for case in cases
            if case.next and form in case.draws
        ]
    )


def _record(rows: Sequence[tuple[Case, tuple[float, float, float]]]) -> Record:
    count = max(1, len(rows))
    return Record(
        hits=sum(low <= case.measured <= high for case, (_, low, high) in rows),
        cases=len(rows),
        width=sum((high - low) / 2 / value for _, (value, low, high) in rows) / count,
        error=sum(abs(case.measured / value - 1) for case, (value, _, _) in rows) / count,
    )
