"""Assignment of people to tracks, of which some pairs are forbidden."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def matches(weight: np.ndarray) -> dict[int, int]:
    """Row -> column of the assignment with the highest sum of weights.

    Args:
      weight: `[P, T]`; 0 for a forbidden pair, so that it displaces no allowed one, and above 0 for
        the others.
    """
    rows, columns = linear_sum_assignment(weight, maximize=True)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if weight[i, j] > 0}
