"""Checks that points support a law, with the reasons if they do not."""

from collections.abc import Sequence

import numpy as np

from jaxpose.scaling.frontier import Price, best_size
from jaxpose.scaling.laws import JOINT, Form, Law
from jaxpose.scaling.observations import Observations
from jaxpose.scaling.plan import MAX_EPOCHS

SPARE = 2
"""Points needed in addition to the parameters of a law, to measure the noise."""
LEAST_RANGE = 3.0
"""Ratio of the largest to the smallest size, and number of samples, that a joint law needs."""
CHANCE = 0.98
"""Scores (such as 1 - AP) above this come from models that have learnt nothing yet."""


def reasons_against(form: Form, points: Observations, quantity: str) -> list[str]:
    """Reasons against fitting a law of that form to the points; empty if there are none."""
    reasons = []
    if len(points) < form.size + SPARE:
        reasons.append(
            f"too few points: {len(points)} for the {form.size} parameters of the {form.name} law, "
            f"which needs {form.size + SPARE}"
        )
    reasons += repeated(points)
    if quantity == "score" and len(points):
        blind = points.value > CHANCE
        if blind.mean() > 0.25:
            reasons.append(
                f"the score is still near its worst value at {blind.sum()} of {len(points)} "
                f"points (above {CHANCE}): use larger budgets, or fit the loss"
            )
    for name in form.inputs:
        values = getattr(points, name, np.ones(1))
        if form is JOINT and len(values) and values.max() < LEAST_RANGE * values.min():
            reasons.append(
                f"too narrow: {name} range over a factor of {values.max() / values.min():.2g}, and "
                f"an exponent needs a factor of at least {LEAST_RANGE:g}"
            )
    return reasons


def repeated(points: Observations) -> list[str]:
    """Reasons against fitting runs that repeat their data too often."""
    many = points.epochs > MAX_EPOCHS
    if not many.any():
        return []
    names = ", ".join(points.name[many][:4]) + (" and others" if many.sum() > 4 else "")
    return [
        f"epochs repeat too often: {names} see their data up to {points.epochs.max():.1f} times. "
        f"Beyond {MAX_EPOCHS:g} repeated samples are worth less than new ones (arXiv:2305.16264), "
        "and the law would attribute this to the model: use more data, or smaller budgets"
    ]


def off_centre(law: Law, price: Price, groups: Sequence[Observations]) -> list[str]:
    """Reasons against a best size: the trained sizes do not lie on both sides of it."""
    outside = []
    for group in groups:
        if len(group) < 3:
            continue
        best = float(best_size(law, price, np.array([group.compute.mean()]))[0])
        low, high = group.parameters.min(), group.parameters.max()
        if not low < best < high:
            side = "smaller" if best <= low else "larger"
            outside.append(f"{group.compute.mean():.2g} FLOPs (best {side} than all)")
    compared = sum(len(group) >= 3 for group in groups)
    if compared and 2 * len(outside) <= compared:
        return []
    if not compared:
        return ["no budget of compute has three sizes: the best size cannot be found"]
    return [
        f"off-centre: at {len(outside)} of {compared} budgets the best size lies outside the "
        f"trained ones: {'; '.join(outside[:4])}. Add sizes there"
    ]
