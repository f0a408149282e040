"""Tables of relative positions in windows, in the order of the models here."""

from collections.abc import Mapping

import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.swin import relative_positions

_TABLE, _INDEX = "relative_position_bias_table", "relative_position_index"


def fit_windows(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Reorder the tables of biases for which the checkpoint has an index.

    A checkpoint may contain the row of the table for each query and key of a window, as whole
    numbers. Where its order is that of the models here, nothing changes.

    Raises:
      InputError: an index is not that of windows: it has two rows for one relative position, or a
        row that the table does not have.
    """
    fitted = dict(state_dict)
    for key, index in state_dict.items():
        table = state_dict.get(key.removesuffix(_INDEX) + _TABLE)
        if not key.endswith(_INDEX) or table is None:
            continue
        own = relative_positions(round(index.shape[0] ** 0.5))
        rows = np.zeros(len(table), np.int64)
        theirs = index.astype(np.int64)
        if own.shape != theirs.shape or own.max() >= len(table) or theirs.max() >= len(table):
            raise InputError(f"{key} {list(index.shape)} does not fit its table of {len(table)}.")
        rows[own] = theirs
        if not np.array_equal(rows[own], theirs):
            raise InputError(f"{key} has two rows of the table for one relative position.")
        fitted[key.removesuffix(_INDEX) + _TABLE] = table[rows]
    return fitted
