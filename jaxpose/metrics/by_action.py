"""3D joint errors by subject and action, as in published tables."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxpose.metrics.mpjpe import mpjpe, p_mpjpe

Cells = dict[str, dict[str, float]]
"""subject -> action -> mm."""

Table = dict[str, Cells]
"""metric -> subject -> action -> mm."""


def cells(
    error: Callable[..., float],
    columns: Sequence[np.ndarray],
    subjects: Sequence[str] | np.ndarray,
    actions: Sequence[str] | np.ndarray,
) -> Cells:
    """Compute `error` for each subject and action, on their rows of all `columns`."""
    subject_of, action_of = np.asarray(subjects), np.asarray(actions)
    found: Cells = {}
    for subject in sorted(set(subject_of.tolist())):
        own = subject_of == subject
        for action in sorted(set(action_of[own].tolist())):
            rows = own & (action_of == action)
            value = error(*(column[rows] for column in columns))
            found.setdefault(subject, {})[action] = value
    return found


def errors_by_action(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    subjects: Sequence[str],
    actions: Sequence[str],
) -> Table:
    """Compute MPJPE and P-MPJPE for each subject and action.

    Args:
      predicted, truth: `[N, K, 3]` mm about the root.
      visible: `[N, K]`, above 0 where the truth is given.
      subjects, actions: `[N]` names.
    """
    columns = (predicted, truth, visible)
    return {
        "MPJPE": cells(mpjpe, columns, subjects, actions),
        "P-MPJPE": cells(p_mpjpe, columns, subjects, actions),
    }


def mean_over_cells(table: Table) -> dict[str, float]:
    """Unweighted mean of each metric over subjects and actions, as in published averages.

    Cells with nothing to measure (-1) are left out; the mean is -1 if no cell is left.
    """
    means = {}
    for metric, rows in table.items():
        values = [value for row in rows.values() for value in row.values() if value >= 0]
        means[metric] = float(np.mean(values)) if values else -1.0
    return means
