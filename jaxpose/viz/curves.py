"""Chart of a training run: loss, metrics and rates over its steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxpose.viz.figures import new_figure, to_image

_SHOWN = 5  # largest number of distinguishable curves in one panel
_COLUMNS = 3

_NOISY = ("loss", "gradient norm", "images per second", "windows per second")

Record = Mapping[str, Any]
"""A line of `metrics.jsonl`: step, kind ("train" or "eval"), and values by name."""


def training_curves(
    records: Sequence[Record], *, best: str = "", lower_is_better: bool = False
) -> np.ndarray | None:
    """Draws the curves of a run: loss with its terms, metrics of evaluations, rates.

    Metrics that start with the same word, such as `PCK/ankle` and `PCK/knee`, share a panel. The
    step with the best value of `best` is marked.

    Args:
      records: lines of `metrics.jsonl`, in the order of steps.
      best: the metric that selects the best checkpoint.
      lower_is_better: whether a lower value of `best` is better.

    Returns:
      uint8 RGB `[H, W, 3]`; None where nothing was recorded.
    """
    train = _series([r for r in records if r.get("kind") == "train"])
    scores = _series([r for r in records if r.get("kind") == "eval"])
    # -1 means that there was nothing to measure.
    scores = {n: (s[v != -1], v[v != -1]) for n, (s, v) in scores.items() if (v != -1).any()}
    panels = _panels(train, scores, best)
    if not panels:
        return None
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.2 * columns, 3.0 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    last = max(steps[-1] for _, curves in panels for steps, _ in curves.values())
    for axes, (title, curves) in zip(grid, panels, strict=False):
        for name, (steps, values) in curves.items():
            _draw(axes, name, steps, values, title in _NOISY)
        words = ""
        if best in curves:
            words = f"; best {best} {_mark(axes, *curves[best], lower_is_better)}"
        axes.set_title(title + words, fontsize=9)
        axes.set_xlim(0, 1.03 * last)
        if title not in ("loss", "gradient norm"):
            _from_zero(axes, curves)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3, linewidth=0.6)
        if _log_scale(curves) and title in ("loss", "gradient norm"):
            axes.set_yscale("log")
        if len(curves) > 1:
            axes.legend(fontsize=7, framealpha=0.6, ncols=2 if len(curves) > 3 else 1)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel("step", fontsize=9)
    return to_image(figure)


Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def _series(records: Sequence[Record]) -> Curves:
    """Steps and finite values of each name."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, value in record.items():
            if name not in ("step", "kind") and np.isfinite(value):
                found.setdefault(name, []).append((record["step"], value))
    arrays = {name: np.array(points, np.float64) for name, points in found.items()}
    return {name: (points[:, 0], points[:, 1]) for name, points in arrays.items()}


def _panels(train: Curves, scores: Curves, best: str) -> list[tuple[str, Curves]]:
    panels: list[tuple[str, Curves]] = []
    loss = {n: c for n, c in train.items() if n == "loss" or n.startswith("loss/")}
    if loss:
        panels.append(("loss", dict(list(loss.items())[: _SHOWN + 1])))
    groups: dict[str, Curves] = {}
    for name, curve in sorted(scores.items(), key=lambda item: item[0] != best):
        groups.setdefault(_group(name, scores), {})[name] = curve
    for title, curves in groups.items():
        names = sorted(curves, key=lambda name: name != best)[:_SHOWN]
        more = f" ({_SHOWN} of {len(curves)})" if len(curves) > _SHOWN else ""
        panels.append((title + more, {name: curves[name] for name in names}))
    for name, title in (("gradient_norm", "gradient norm"), ("learning_rate", "learning rate")):
        if name in train:
            panels.append((title, {title: train[name]}))
    panels += [
        (name.replace("_", " "), {name.replace("_", " "): curve})
        for name, curve in train.items()
        if name.endswith("_per_second")
    ]
    return panels


def _group(name: str, scores: Curves) -> str:
    """Panel of a metric: `PCK` for PCK/ankle, `AP and AR` for AP50."""
    head, slash, tail = name.rpartition("/")
    words = tail or name
    if words.startswith(("AP", "AR")):
        return f"{head} AP and AR".strip()
    if slash:
        return head if head in scores or "/" in head else f"{head} {tail}"
    return "MPJPE family, mm" if "MPJPE" in name else name


def _draw(axes: Any, name: str, steps: np.ndarray, values: np.ndarray, noisy: bool) -> None:
    few = len(steps) <= 25
    name = name.rpartition("/")[2]
    if noisy and len(steps) > 100:
        (line,) = axes.plot(steps, values, linewidth=0.6, alpha=0.3)
        smooth = _running_median(values, max(5, len(values) // 40))
        axes.plot(steps, smooth, color=line.get_color(), linewidth=1.5, label=name)
        return
    axes.plot(steps, values, marker="o" if few else "", ms=3, linewidth=1.3, label=name)


def _from_zero(axes: Any, curves: Curves) -> None:
    """Starts the axis at 0, so that small changes appear small."""
    values = np.concatenate([values for _, values in curves.values()])
    if (values >= 0).all():
        axes.set_ylim(0, 1.1 * values.max() if values.max() > 0 else 1.0)


def _running_median(values: np.ndarray, width: int) -> np.ndarray:
    width += 1 - width % 2
    padded = np.pad(values, width // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=-1)


def _mark(axes: Any, steps: np.ndarray, values: np.ndarray, lower_is_better: bool) -> str:
    """Draws a star at the best value; returns its description for the title."""
    at = int(np.argmin(values) if lower_is_better else np.argmax(values))
    axes.plot(steps[at], values[at], marker="*", ms=11, color="black", zorder=5, linestyle="")
    return f"{values[at]:.4g} at step {steps[at]:,.0f}"


def _log_scale(curves: Curves) -> bool:
    values = np.concatenate([values for _, values in curves.values()])
    return bool((values > 0).all() and values.max() > 20 * values.min())
