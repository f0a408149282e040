"""Backtests on a real study: coverage of all forms together, plain additive fits and parabolas.

    python -m tests.benchmarks.scaling_backtests [people | lsp] [--out scaling.png]

The studies are `scaling_people.csv` and `scaling_lsp.csv`: small ViTs on drawn people
(`scaling_people.py`) and on photographs (`scaling_lsp.py`), at several sizes, budgets, seeds and
shares of the data.
"""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.scaling.backtests import Record, budgets
from jaxpose.scaling.forecast import Forecaster, forecaster, seed_deviation
from jaxpose.scaling.observations import Observations

SCORES = {"people": "AP", "lsp": "PCK"}
"""The score of each study, which is the name of its column."""
T_90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015}
"""Two-sided 90 % quantiles of Student's t by degrees of freedom."""


def load(study: str, quantity: str, held_out: bool = False) -> Observations:
    """Runs of a study, for fitting or held out; `quantity` is `loss` or `error`, 1 - score."""
    with Path(__file__).with_name(f"scaling_{study}.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["held_out"] == str(int(held_out))]
    numbers = {
        name: np.array([float(row[name]) for row in rows])
        for name in ("parameters", "samples", "compute", "flops", "epochs", "loss")
    }
    loss = numbers.pop("loss")
    error = 1 - np.array([float(row[SCORES[study]]) for row in rows])
    return Observations(
        name=np.array([row["name"] for row in rows]),
        size=np.array([row["name"].partition("-")[0] for row in rows]),
        pretrained=np.zeros(len(rows)),
        value=loss if quantity == "loss" else error,
        **numbers,
    )


def parabolas(points: Observations) -> Record:
    """Record of isoFLOP parabolas on the lowest value of the next budget.

    It is predicted by a power law of the lowest values of the smaller budgets. The interval is that
    of linear regression in logarithms. The lowest value lies within the trained sizes; budgets
    without a convex curve are left out.
    """
    points = points.where(points.epochs < 3)
    lowest = []
    for group in budgets(points):
        if len(np.unique(group.parameters)) >= 3:
            bend, slope, offset = np.polyfit(np.log(group.parameters), np.log(group.value), 2)
            logs = np.log(group.parameters)
            if bend > 0:
                at = np.clip(-slope / (2 * bend), logs.min(), logs.max())
                value = np.polyval((bend, slope, offset), at)
                lowest.append((np.log(group.compute.mean()), value))
    hits, widths, errors = 0, [], []
    for cut in range(3, len(lowest)):
        x, y = np.array(lowest[:cut]).T
        line = np.polyfit(x, y, 1)
        at, measured = lowest[cut]
        freedom = cut - 2
        deviation = np.sqrt(((y - np.polyval(line, x)) ** 2).sum() / freedom)
        spread = 1 + 1 / cut + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        half = T_90[freedom] * deviation * np.sqrt(spread)
        off = measured - np.polyval(line, at)
        hits += abs(off) <= half
        widths.append(half)
        errors.append(abs(off))
    count = max(1, len(widths))
    return Record(int(hits), len(widths), sum(widths) / count, sum(errors) / count)


def draw(found: Forecaster, words: str, out: Path) -> None:
    """Two panels: runs, and each backtest's interval beside what was measured."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(11.0, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    points = found.points
    for size in np.unique(points.parameters):
        part = points.where(points.parameters == size)
        few = part.epochs > 3
        (line,) = left.plot(part.compute[~few], part.value[~few], "o", ms=4.5, label=f"{size:,.0f}")
        left.plot(
            part.compute[few], part.value[few], "s", ms=5, mfc="white", color=line.get_color()
        )
    left.set(xscale="log", yscale="log", xlabel="training FLOPs", ylabel=words)
    left.set_title("runs; open squares repeat their data more than 3 times", fontsize=9)
    left.xaxis.set_minor_formatter(NullFormatter())
    for set_formatter in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
        set_formatter("{x:g}")
    left.legend(title="parameters", fontsize=7, title_fontsize=7)
    rows = [
        (case, bounds)
        for case, bounds in zip(found.cases, found.predicted, strict=True)
        if case.next
    ]
    for place, (case, (value, low, high)) in enumerate(rows):
        inside = low <= case.measured <= high
        right.errorbar(
            place,
            1.0,
            [[1 - low / value], [high / value - 1]],
            color="tab:blue" if inside else "tab:red",
            capsize=2,
        )
        right.plot(place, case.measured / value, "k.", ms=5)
    right.set(xlabel="run of a next budget", ylabel="measured over predicted, and interval")
    right.set_title(f"{found.record}".replace(", half", ",\nhalf"), fontsize=8)
    for axes in (left, right):
        axes.grid(which="both", alpha=0.25, linewidth=0.5)
    figure.savefig(out)


def main(
    study: Annotated[str, typer.Argument(help=" or ".join(SCORES))] = "people",
    out: Annotated[Path | None, typer.Option(help="Figure of the loss to write.")] = None,
) -> None:
    """Print the records and the forecast of the held-out runs."""
    for quantity in ("loss", "error"):
        points, late = (load(study, quantity, held) for held in (False, True))
        found = forecaster(points)
        spread = seed_deviation(points)
        words = "loss" if quantity == "loss" else f"1 - {SCORES[study]}"
        print(f"{words}: {len(points)} runs, {len(budgets(points))} budgets")
        print("  noise between seeds:", "none" if spread is None else f"{spread:.2%}")
        for name, ensemble in found.ensembles.items():
            values = ", ".join(f"{k} {v:.3g}" for k, v in ensemble.law.parameters().items())
            print(f"  {name}: weight {found.weights[name]:.0%}; {values}")
            print(f"    alone: {found.record_of(name)}")
        print(f"  all forms: {found.record}")
        print(f"  parabolas: {parabolas(points)}")
        for row in range(len(late)):
            run = late.where([row])
            forecast = found.forecast(run.run_inputs(), float(run.compute[0]))
            print(
                f"  {run.name[0]}: predicted {forecast.value:.4g} ({forecast.low:.4g} to "
                f"{forecast.high:.4g}), measured {run.value[0]:.4g}, reach {forecast.reach:.1f}"
            )
        if out is not None and quantity == "loss":
            draw(found, "held-out loss", out)


if __name__ == "__main__":
    typer.run(main)
