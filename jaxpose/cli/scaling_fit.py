"""`jaxpose scaling fit` and `plot`: the laws of a study."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.paths import atomic_write
from jaxpose.scaling.analysis import Analysis, analyse, require_a_law, summary
from jaxpose.scaling.backtests import Record
from jaxpose.scaling.manifest import Manifest, read_manifest
from jaxpose.scaling.observations import in_words, observe
from jaxpose.scaling.one_axis_sweep import arms, shape_law

QUANTITIES = ("loss", "score")


def fit(study: Path, resamples: int, anyway: bool) -> None:
    """Print the laws of a study and write them to `study/fit.json`."""
    manifest = read_manifest(study)
    analyses = _analyses(study, manifest, resamples, anyway)
    require_a_law(analyses)
    console = PlainConsole()
    found = {}
    for analysis in analyses:
        found[analysis.quantity] = result = summary(analysis)
        stars = arms(manifest, analysis.points)
        result["shapes"] = [shape_law(arm, resamples, anyway) for arm in stars]
        _show(console, result)
    atomic_write(study / "fit.json", json.dumps(found, indent=1) + "\n")
    console.print(f"Written to {study / 'fit.json'}. Next: jaxpose scaling plot {study}")


def plot(study: Path, out: Path | None, resamples: int, anyway: bool) -> None:
    """Draw `QUANTITY.png`, and `QUANTITY_laws.png` where there are laws in one input."""
    from jaxpose.scaling.plots import draw, draw_laws

    out = out or study / "plots"
    console = PlainConsole()
    for analysis in _analyses(study, read_manifest(study), resamples, anyway):
        written = [out / f"{analysis.quantity}.png"]
        draw(analysis, written[0])
        laws = out / f"{analysis.quantity}_laws.png"
        written += [laws] if draw_laws(analysis, laws) else []
        for file in written:
            console.print(f"{file}")
        for reason in analysis.refused.get("joint", []):
            console.print(f"{analysis.words}, no joint law: {reason}")


def _analyses(study: Path, manifest: Manifest, resamples: int, anyway: bool) -> list[Analysis]:
    analyses = []
    for quantity in QUANTITIES:
        points, held_out = observe(study, manifest, quantity)
        if not len(points):
            raise InputError(
                f"No point of {study} is done yet: `jaxpose scaling run {study}` trains them."
            )
        words = in_words(manifest, quantity)
        analyses.append(analyse(quantity, words, points, held_out, resamples, anyway))
    return analyses


def _show(console: Console, result: dict[str, Any]) -> None:
    table = Table("law", "parameter", "value", "90 % interval", title=result["quantity"])
    for name, law in result["laws"].items():
        for parameter, value in law["parameters"].items():
            low, high = law["intervals"][parameter]
            table.add_row(name, parameter, f"{value:.4g}", f"{low:.4g} to {high:.4g}")
            name = ""
        table.add_row("", "noise", f"{law['deviation']:.2%}", "")
        table.add_section()
    if result["laws"]:
        console.print(table)
    against: dict[str, list[str]] = {}
    for name, reasons in result["not_said"].items():
        for reason in reasons:
            against.setdefault(reason, []).append(name)
    for reason, names in against.items():
        said = f"{result['quantity']}, nothing said of {', '.join(names)}: {reason}."
        console.print(said)
    _show_forms(console, result)
    if "frontier" in result:
        _show_frontier(console, result)
    for law in result["shapes"]:
        _show_shape(console, law)
    for row in result["extrapolation"]:
        left = ", fitted without the largest budget" if "left_out" in row else ", held out"
        console.print(
            f"{row['point']}{left}: predicted {row['predicted']:.4g} ({row['low']:.4g} to "
            f"{row['high']:.4g}), measured {row['measured']:.4g}: off by {row['error']:+.1%}",
        )


def _show_forms(console: Console, result: dict[str, Any]) -> None:
    """Prints the forms that compete, their backtests, and the coverage of their mixture."""
    forms = result["forms"].get("forms", {})
    if not forms:
        return
    table = Table(
        *("form", "weight", "parameters", "next budgets in 90 % interval", "error"),
        title=f"{result['quantity']}: laws of size and samples by their backtests",
    )
    for name, form in forms.items():
        values = ", ".join(f"{p} {value:.3g}" for p, value in form["parameters"].items())
        tested = form["backtests"]
        inside = f"{tested['hits']} of {tested['cases']}" if tested["cases"] else "none"
        error = f"{tested['error']:.1%}" if tested["cases"] else ""
        table.add_row(name, f"{form['weight']:.0%}", values, inside, error)
    console.print(table)
    tested = result["forms"]["backtests"]
    if tested is not None:
        console.print(f"All forms together: {Record(**tested)}.")
    seeds = result["forms"]["seed_deviation"]
    if seeds is not None:
        console.print(f"Noise between seeds: {seeds:.2%}.")
    for note in result["forms"]["notes"]:
        console.print(note)


def _show_shape(console: Console, law: dict[str, Any]) -> None:
    for reason in law["not_said"]:
        console.print(f"{law['axis']}: {reason}.")
    if "exponent" in law:
        low, high = law["interval"]
        console.print(
            f"best {law['axis']}: as compute^{law['exponent']:.3f} ({low:.3f} to {high:.3f}); "
            f"{law['best']:.4g} at {law['compute']:.2g} FLOPs",
        )


def _show_frontier(console: Console, result: dict[str, Any]) -> None:
    exponents = result["frontier"]["exponents"]
    words = {
        "size": "best size",
        "samples": "best number of samples",
        "loss": f"{result['quantity']} above its limit falls",
    }
    for name, value in exponents.items():
        low, high = value["interval"]
        sign = "-" if name == "loss" else ""
        console.print(
            f"{words[name]}: as compute^{sign}{value['value']:.3f} ({low:.3f} to {high:.3f})",
        )
    exponent = result["parabolas"]["exponent"]
    if exponent is not None:
        console.print(
            f"(by parabolas, which are biased off the centre: compute^{exponent:.3f})",
        )
