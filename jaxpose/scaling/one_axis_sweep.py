"""Star sweeps: growth of each dimension of a model's shape with compute (SoViT)."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.scaling.bootstrap import LEVEL, bootstrap
from jaxpose.scaling.checks import SPARE, repeated
from jaxpose.scaling.frontier import best_shape, shape_exponent
from jaxpose.scaling.laws import SHAPE
from jaxpose.scaling.manifest import Manifest
from jaxpose.scaling.observations import Observations


@dataclass(frozen=True)
class Arm:
    """Runs of a star that differ from its centre on one axis only, and the centre.

    Attributes:
      values: on the axis, `[n]`.   points: the runs, `[n]`.
    """

    axis: str
    values: np.ndarray
    points: Observations


def arms(manifest: Manifest, points: Observations) -> list[Arm]:
    """Arms of a star sweep; empty if the points come from another plan."""
    shapes = [manifest.point(str(name)).shape for name in points.name]
    axes = list(shapes[0]) if shapes else []
    if len(axes) < 2 or any(list(shape) != axes for shape in shapes):
        return []
    centre = {axis: Counter(shape[axis] for shape in shapes).most_common(1)[0][0] for axis in axes}
    off = np.array([[shape[axis] != centre[axis] for axis in axes] for shape in shapes])
    if (off.sum(1) > 1).any():
        return []
    found = []
    for column, axis in enumerate(axes):
        rows = ~np.delete(off, column, axis=1).any(1)
        values = np.array([shape[axis] for shape in shapes], np.float64)[rows]
        if len(np.unique(values)) > 1:
            found.append(Arm(axis, values, points.where(rows)))
    return found


def shape_law(arm: Arm, resamples: int = 400, anyway: bool = False) -> dict[str, Any]:
    """Growth of the axis's best value with compute, as JSON types, or the reasons against a fit.

    `exponent` and `interval` of `x* ~ C^s`, `best` at the largest `compute`, `not_said`.
    """
    reasons = repeated(arm.points)
    if len(arm.points) < SHAPE.size + SPARE:
        reasons.append(
            f"too few points: {len(arm.points)} with another {arm.axis} or the centre's, and the "
            f"{SHAPE.size} parameters of the shape law need {SHAPE.size + SPARE}"
        )
    if len(arm.points) <= SHAPE.size or (reasons and not anyway):
        return {"axis": arm.axis, "not_said": reasons}
    inputs = {"shape": arm.values, "compute": arm.points.compute}
    ensemble = bootstrap(SHAPE, inputs, arm.points.value, resamples)
    budgets = np.array([arm.points.compute.min(), arm.points.compute.max()])
    best = best_shape(ensemble.law, budgets)
    inside = (best > arm.values.min()) & (best < arm.values.max())
    if not inside.any():
        reasons.append(
            f"off-centre: the best {arm.axis} ({best[0]:.3g} to {best[1]:.3g}) lies outside those "
            f"that were trained ({arm.values.min():g} to {arm.values.max():g}); move the centre"
        )
        if not anyway:
            return {"axis": arm.axis, "not_said": reasons}
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    slopes = [shape_exponent(law) for law in ensemble.replicates]
    return {
        "axis": arm.axis,
        "exponent": shape_exponent(ensemble.law),
        "interval": np.quantile(slopes, tails).tolist(),
        "compute": float(budgets[1]),
        "best": float(best[1]),
        "parameters": ensemble.law.parameters(),
        "not_said": reasons,
    }
