"""Chart of the confusion matrix of a classifier."""

from collections.abc import Sequence

import numpy as np

from jaxpose.errors import InputError
from jaxpose.viz.figures import new_figure, to_image

_MOST = 30  # largest number of classes whose names and counts fit


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Draws how often each class is predicted for clips of each class.

    Colours are the share of the row, numbers are clips. With more than 30 classes there are colours
    alone.

    Args:
      counts: `[C, C]`, by true class (rows) and predicted class (columns).
      classes: C names.

    Returns:
      uint8 RGB `[H, W, 3]`.

    Raises:
      InputError: counts of another number of classes.
    """
    values, count = np.asarray(counts), len(classes)
    if values.shape != (count, count) or not count:
        raise InputError(f"Counts of shape {list(values.shape)} do not fit {count} classes.")
    named = count <= _MOST
    side = 2.2 + 0.42 * count if named else 8.0
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if named:
        names = [str(name) for name in classes]
        axes.set_xticks(range(count), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(count), names, fontsize=8)
        for row, column in np.argwhere(values > 0).tolist():
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                f"{values[row, column]:,}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if dark else "black",
            )
    right = np.trace(values) / max(values.sum(), 1)
    axes.set_title(f"{values.sum():,} clips, {100 * right:.1f} % right", fontsize=9.5)
    return to_image(figure)
