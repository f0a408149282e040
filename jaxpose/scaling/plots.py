"""Plots of a study's laws. Matplotlib is imported here only."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.scaling import frontier
from jaxpose.scaling.analysis import Analysis
from jaxpose.scaling.bootstrap import LEVEL

WIDTH, HEIGHT, DPI = 11.0, 4.2, 110
_PLACE = {"which": "both", "alpha": 0.25, "linewidth": 0.5}


def draw(analysis: Analysis, path: Path, held_out: bool = True) -> None:
    """Draws two panels as PNG: runs and efficient frontier over compute, isoFLOP curves over size.

    Lines are the joint law (dotted at each size), bands its 90 % intervals, filled dots runs, open
    ones held out. Laws that were refused are not drawn.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    _over_compute(left, analysis, held_out)
    _over_size(right, analysis)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _colours(count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.05, 0.85, count))


def _over_compute(axes: Any, analysis: Analysis, held_out: bool) -> None:
    points, tested = analysis.points, analysis.held_out
    sizes = np.unique(np.concatenate([points.parameters, tested.parameters]))
    colours = dict(zip(sizes, _colours(len(sizes)), strict=True))
    span = np.concatenate([points.compute, tested.compute])
    compute = np.geomspace(span.min() / 1.3, span.max() * 1.6, 60)
    for size in sizes:
        part, late = (p.where(p.parameters == size) for p in (points, tested))
        part = part.where(np.argsort(part.compute))
        axes.plot(
            part.compute,
            part.value,
            "o",
            color=colours[size],
            markersize=4.5,
            label=f"{size:,.0f}",
        )
        if held_out and len(late):
            axes.plot(
                late.compute, late.value, "o", color=colours[size], mfc="white", ms=7, mew=1.6
            )
    if analysis.joint is not None and analysis.price is not None:
        for size in sizes:
            samples = compute / analysis.price(size)
            law = analysis.joint.law({"parameters": size, "samples": samples})
            axes.plot(compute, law, ":", color=colours[size], linewidth=1)
        if "frontier" not in analysis.refused:
            _frontier(axes, analysis, compute)
    if analysis.forecaster is not None and held_out and len(tested):
        _predictions(axes, analysis)
    axes.set(xscale="log", yscale="log", xlabel="training FLOPs", ylabel=analysis.words)
    _finish(axes, "parameters")


def _frontier(axes: Any, analysis: Analysis, compute: np.ndarray) -> None:
    joint, price = analysis.joint, analysis.price
    assert joint is not None and price is not None
    curves = np.stack([frontier.best_value(law, price, compute) for law in joint.replicates])
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    axes.fill_between(compute, low, high, color="tab:red", alpha=0.15, linewidth=0)
    best = frontier.best_value(joint.law, price, compute)
    axes.plot(compute, best, color="tab:red", linewidth=1.5, label="frontier")


def _predictions(axes: Any, analysis: Analysis) -> None:
    """Draws the predictions of all forms together for the held-out runs, with their intervals."""
    assert analysis.forecaster is not None
    tested = analysis.held_out
    for row in range(len(tested)):
        run = tested.where([row])
        found = analysis.forecaster.forecast(run.run_inputs(), float(run.compute[0]))
        axes.errorbar(
            tested.compute[row] * 1.12,
            found.value,
            [[found.value - found.low], [found.high - found.value]],
            fmt="x",
            color="black",
            markersize=6,
            capsize=3,
            linewidth=1,
            label="predicted" if row == 0 else None,
        )


def _over_size(axes: Any, analysis: Analysis) -> None:
    """Draws a curve over size for each budget of compute that has three sizes or more.

    A study with equal samples has no such budgets; its curves are those of equal samples.
    """
    joint, price = analysis.joint, analysis.price
    name = "compute"
    groups = [g for g in analysis.points.groups(name) if len(g) >= 3]
    if not groups:
        name = "samples"
        groups = [g for g in analysis.points.groups(name) if len(g) >= 2]
    low, high = analysis.points.parameters.min() / 1.6, analysis.points.parameters.max() * 1.6
    sizes = np.geomspace(low, high, 80)
    for group, colour in zip(groups, _colours(len(groups)), strict=True):
        budget = getattr(group, name).mean()
        label = f"{budget:.1e}"
        axes.plot(group.parameters, group.value, "o", color=colour, markersize=4.5)
        if joint is None or price is None:
            continue
        samples = budget / price(sizes) if name == "compute" else np.full_like(sizes, budget)
        at = {"parameters": sizes, "samples": samples}
        axes.fill_between(sizes, *joint.band(at), color=colour, alpha=0.15, linewidth=0)
        axes.plot(sizes, joint.law(at), color=colour, linewidth=1.2, label=label)
    if joint is not None and price is not None and "frontier" not in analysis.refused:
        budgets = np.array([g.compute.mean() for g in groups])
        compute = np.geomspace(budgets.min() / 2, budgets.max() * 2, 40)
        best = frontier.best_size(joint.law, price, compute)
        values = frontier.best_value(joint.law, price, compute)
        axes.plot(best, values, color="tab:red", linewidth=1.5, label="best size")
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel=analysis.words)
    _finish(axes, "FLOPs" if name == "compute" else "samples")


def _finish(axes: Any, title: str) -> None:
    from matplotlib.ticker import (
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
        ScalarFormatter,
    )

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0e}".replace("e+", "e")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    wide = high > 3 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(6))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(**_PLACE)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title=title, fontsize=7, title_fontsize=7)


def draw_laws(analysis: Analysis, path: Path) -> bool:
    """Draws a panel for each law in one input, log-log with its interval; False if none."""
    names = [name for name in analysis.laws if name != "joint"]
    if not names:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(names), HEIGHT), dpi=DPI, layout="constrained")
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
        _single(axes, analysis, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True


def _single(axes: Any, analysis: Analysis, name: str) -> None:
    ensemble, part = analysis.laws[name], analysis.parts[name]
    x = getattr(part, name)
    line = np.geomspace(x.min() / 1.5, x.max() * 4, 80)
    axes.fill_between(line, *ensemble.band({name: line}), color="tab:red", alpha=0.15, linewidth=0)
    axes.plot(line, ensemble.law({name: line}), color="tab:red")
    axes.plot(x, part.value, "o", color="black", markersize=4.5)
    low, high = ensemble.interval("a")
    values = ensemble.law.parameters()
    axes.set_title(
        f"{values['E']:.3g} + {values['A']:.3g} x^-{values['a']:.3f} ({low:.3f} to {high:.3f})",
        fontsize=8,
    )
    axes.set(xscale="log", yscale="log", xlabel=name, ylabel=analysis.words)
    _finish(axes, "")
