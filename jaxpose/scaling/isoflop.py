"""Parabola method for comparison: Chinchilla's second approach (arXiv:2203.15556, section 3.2).

At each budget a parabola through the values over the logarithm of the size has its vertex at the
best size. An isoFLOP curve is not a parabola, so the vertex moves towards the chosen sizes if they
are not centred on the optimum; `laws.JOINT` has no such bias.
"""

from collections.abc import Sequence

import numpy as np


def vertex(parameters: np.ndarray, values: np.ndarray) -> float | None:
    """Size at the vertex of the parabola; None if the curve is not convex or has too few points."""
    if len(np.unique(parameters)) < 3:
        return None
    logs = np.log(parameters)
    middle = logs.mean()
    bend, slope, _ = np.polyfit(logs - middle, values, 2)
    return float(np.exp(middle - slope / (2 * bend))) if bend > 0 else None


def best_sizes(
    budgets: Sequence[float] | np.ndarray, curves: Sequence[tuple[np.ndarray, np.ndarray]]
) -> dict[str, object]:
    """Fits vertices over budgets and the power law through them.

    Args:
      budgets: FLOPs.
      curves: parameters and values at each budget.

    Returns:
      `vertices` by budget (None where there is none), and `exponent` and `factor` of
      `factor * C^exponent`, None with fewer than two vertices.
    """
    vertices = [vertex(*curve) for curve in curves]
    found = [(c, v) for c, v in zip(budgets, vertices, strict=True) if v is not None]
    exponent = factor = None
    if len(found) >= 2:
        compute, size = np.log(np.array(found, np.float64)).T
        slope, offset = np.polyfit(compute, size, 1)
        exponent, factor = float(slope), float(np.exp(offset))
    return {"vertices": vertices, "exponent": exponent, "factor": factor}
