"""Chart of the error of each keypoint over a dataset."""

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.viz.figures import new_figure, to_image

_MOST = 40  # largest number of keypoints that fit one below the other with their names


def keypoint_errors(errors: np.ndarray, skeleton: Skeleton, *, unit: str) -> np.ndarray:
    """Draws the distribution of the error of each keypoint, one row each, in the skeleton's order.

    A bar spans the middle half of the samples, its line is the median, the whiskers end at 10 % and
    90 %. The number at the right is the median. Skeletons of more than 40 keypoints are drawn as
    curves over the keypoint's index.

    Args:
      errors: `[N, K]`, NaN where a keypoint is not labelled.
      skeleton: the K keypoints.
      unit: name of the errors' unit.

    Returns:
      uint8 RGB `[H, W, 3]`.

    Raises:
      InputError: errors of another number of keypoints.
    """
    values = np.asarray(errors, np.float64)
    if values.ndim != 2 or values.shape[1] != skeleton.num_keypoints:
        raise InputError(
            f"errors of shape {list(values.shape)} do not fit {skeleton.num_keypoints} keypoints."
        )
    columns = [column[np.isfinite(column)] for column in values.T]
    quantiles = np.full((5, len(columns)), np.nan)
    for k, column in enumerate(columns):
        if column.size:
            quantiles[:, k] = np.quantile(column, (0.1, 0.25, 0.5, 0.75, 0.9))
    if len(columns) > _MOST:
        return _curves(quantiles, unit)
    low, first, middle, third, high = quantiles
    count = len(columns)
    figure = new_figure(7.5, 1.3 + 0.27 * count)
    axes = figure.subplots()
    rows, colours = np.arange(count), skeleton.keypoint_palette / 255.0
    axes.hlines(rows, low, high, color=colours, linewidth=1.4, alpha=0.8)
    axes.barh(rows, third - first, left=first, height=0.62, color=colours, alpha=0.75)
    axes.vlines(middle, rows - 0.31, rows + 0.31, color="black", linewidth=1.8)
    top = np.nanmax(high) if np.isfinite(high).any() else 1.0
    for row, (value, column) in enumerate(zip(middle, columns, strict=True)):
        words = f"{value:.3g}" if column.size else "not labelled"
        axes.text(1.01, row, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(rows, [name.replace("_", " ") for name in skeleton.keypoints], fontsize=8.5)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(0, 1.05 * top if top > 0 else 1.0)
    axes.set_xlabel(f"error, {unit}")
    axes.set_title(
        f"error per keypoint, {len(values):,} samples\n"
        "median, middle half (bar), 10 % to 90 % (line)",
        fontsize=10,
    )
    axes.grid(axis="x", alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    return to_image(figure)


def _curves(quantiles: np.ndarray, unit: str) -> np.ndarray:
    low, first, middle, third, high = quantiles
    figure = new_figure(9.0, 4.0)
    axes = figure.subplots()
    index = np.arange(quantiles.shape[1])
    axes.fill_between(index, low, high, alpha=0.15, color="tab:blue", label="10 % to 90 %")
    axes.fill_between(index, first, third, alpha=0.35, color="tab:blue", label="middle half")
    axes.plot(index, middle, color="black", linewidth=1.3, label="median")
    axes.set_xlim(0, len(index) - 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("keypoint")
    axes.set_ylabel(f"error, {unit}")
    axes.set_title("error per keypoint", fontsize=10)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(fontsize=8, loc="upper left")
    return to_image(figure)
