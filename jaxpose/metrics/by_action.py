"""Joint errors by subject and action, as tables of 3D pose are published."""

from collections.abc import Sequence

import numpy as np

from jaxpose.metrics.mpjpe import mpjpe, p_mpjpe

Table = dict[str, dict[str, dict[str, float]]]
"""metric -> subject -> action -> mm."""


def errors_by_action(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    subjects: Sequence[str],
    actions: Sequence[str],
) -> Table:
    """MPJPE and P-MPJPE of each subject's actions.

    Args:
      predicted, truth: `[N, K, 3]` mm about the root.
      visible: `[N, K]`, above 0 where the truth is known.
      subjects, actions: `[N]` names.
    """
    subject_of, action_of = np.asarray(subjects), np.asarray(actions)
    table: Table = {"MPJPE": {}, "P-MPJPE": {}}
    for subject in sorted(set(subject_of.tolist())):
        own = subject_of == subject
        for action in sorted(set(action_of[own].tolist())):
            rows = own & (action_of == action)
            part = predicted[rows], truth[rows], visible[rows]
            table["MPJPE"].setdefault(subject, {})[action] = mpjpe(*part)
            table["P-MPJPE"].setdefault(subject, {})[action] = p_mpjpe(*part)
    return table


def mean_over_cells(table: Table) -> dict[str, float]:
    """The unweighted mean of each metric over subjects and actions, as published averages are.

    Cells where there was nothing to measure (-1) are left out; -1 where nothing is left.
    """
    means = {}
    for metric, rows in table.items():
        values = [value for row in rows.values() for value in row.values() if value >= 0]
        means[metric] = float(np.mean(values)) if values else -1.0
    return means
