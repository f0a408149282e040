"""`jaxpose scaling recommend`: the size and length of a run for a budget of compute."""

import dataclasses
import json
from typing import Any

from rich.table import Table

from jaxpose.chips.table import chip
from jaxpose.cli.scaling import Recommend
from jaxpose.cli.scaling_fit import QUANTITIES
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.scaling import recommend as advice
from jaxpose.scaling.forecast import Forecaster, forecaster
from jaxpose.scaling.frontier import Price, price
from jaxpose.scaling.manifest import Manifest, read_manifest
from jaxpose.scaling.memory import memory_per_device
from jaxpose.scaling.observations import in_words, observe
from jaxpose.scaling.study_shapes import Shape, forward_price, nearest_shape

_GIB = 2**30
_HOUR = 3600.0


def compute_of(options: Recommend) -> float:
    """Training FLOPs that were asked for.

    Raises:
      InputError: neither or both of `--flops` and `--chip-hours`, or a number out of its range.
    """
    if (options.flops is None) == (not options.chip_hours):
        raise InputError("Give the budget as --flops 1e21, or as --chip-hours v5e:100 with --mfu.")
    if options.flops is not None:
        return _positive(options.flops, "--flops")
    name, _, hours = options.chip_hours.partition(":")
    try:
        count = float(hours)
    except ValueError:
        raise InputError(
            f"--chip-hours {options.chip_hours!r} is not of the form CHIP:HOURS, such as v5e:100."
        ) from None
    if not 0 < options.mfu <= 1:
        raise InputError(f"--mfu must be above 0 and at most 1, and is {options.mfu}.")
    return _positive(count, "--chip-hours") * _HOUR * chip(name).flops * options.mfu


def _positive(value: float, name: str) -> float:
    if not 0 < value < float("inf"):
        raise InputError(f"{name} must be positive, and is {value:g}.")
    return value


def recommend(options: Recommend) -> None:
    """Print the recommendation for a budget, from a study's finished points.

    Raises:
      InputError: the study supports no forecast, or none so far beyond it.
    """
    compute = compute_of(options)
    limits = [_positive(limit, "--serve") for limit in sorted(options.serving)]
    manifest = read_manifest(options.study)
    found: dict[str, Forecaster] = {}
    for quantity in QUANTITIES:
        points, _ = observe(options.study, manifest, quantity)
        found[quantity] = forecaster(points, options.resamples)
    points = found["loss"].points
    people = options.people or float((points.samples / points.epochs).max())
    budget = advice.Budget(
        compute,
        people,
        price(points.parameters, points.flops),
        float(points.pretrained.max()),
    )
    report = _report(found, manifest, budget, options.anyway)
    if limits:
        report["serving"] = _serving(found, manifest, budget, limits)
    if options.json:
        PlainConsole().print_json(json.dumps(report))
    else:
        _print(report, manifest)


def _report(
    found: dict[str, Forecaster], manifest: Manifest, budget: advice.Budget, anyway: bool
) -> dict[str, Any]:
    by_loss = found["loss"]
    wanted, low, high = advice.best_sizes(by_loss, budget)
    shape = nearest_shape(manifest, wanted)
    exact = budget
    if shape is not None:
        # The shape's own cost, in place of the power law through the study's.
        wanted = float(shape.cost.trainable)
        exact = dataclasses.replace(budget, price=Price(float(shape.cost.flops), 0.0))
    chosen = advice.choice(by_loss, exact, wanted)
    notes = advice.notes(by_loss, budget, chosen, anyway)
    return {
        "flops": budget.compute,
        "best": _run(found, exact, wanted),
        "shape": _shape(shape, chosen),
        "alternatives": [
            _run(found, budget, size) for size in (min(low, wanted), max(high, wanted))
        ],
        "surer": [row._asdict() for row in advice.surer(by_loss, budget, chosen)],
        "backtests": {
            in_words(manifest, quantity): None if f.record is None else str(f.record)
            for quantity, f in found.items()
        },
        "notes": notes,
    }


def _run(found: dict[str, Forecaster], budget: advice.Budget, size: float) -> dict[str, Any]:
    runs = {quantity: advice.choice(f, budget, size) for quantity, f in found.items()}
    one = runs["loss"]
    values = {quantity: dataclasses.asdict(run.forecast) for quantity, run in runs.items()}
    return {"parameters": size, "samples": one.samples, "epochs": one.epochs, **values}


def _shape(shape: Shape | None, chosen: advice.Choice) -> dict[str, Any] | None:
    if shape is None:
        return None
    experiment = shape.experiment
    mesh = experiment.mesh
    devices = 1 if -1 in (mesh.data, mesh.fsdp, mesh.tensor) else None
    return {
        "size": shape.size.name,
        "set": list(shape.size.set),
        "steps": round(chosen.samples / experiment.batch_size),
        "forward_flops": 2 * shape.cost.forward,
        "bytes_per_device": memory_per_device(experiment, devices).total,
    }


def _serving(
    found: dict[str, Forecaster], manifest: Manifest, budget: advice.Budget, limits: list[float]
) -> list[dict[str, Any]]:
    """Best size whose forward pass costs at most each limit in GFLOPs, and its forecasts."""
    forward = forward_price(manifest)
    if forward is None:
        raise InputError("--serve needs a study of two sizes or more.")
    rows = []
    for limit in limits:
        largest = (1e9 * limit / forward.k) ** (1 / forward.m)
        size = advice.best_sizes(found["loss"], budget, largest)[0]
        rows.append({"gflops": limit, **_run(found, budget, size)})
    return rows


def _print(report: dict[str, Any], manifest: Manifest) -> None:
    console = PlainConsole()
    words = {quantity: in_words(manifest, quantity) for quantity in QUANTITIES}
    table = Table(
        *("", "parameters", "samples", "epochs", *words.values()),
        title=f"{report['flops']:.3g} FLOPs",
    )
    low, high = report["alternatives"]
    table.add_row("best", *_cells(report["best"]))
    table.add_row("smallest within the noise", *_cells(low))
    table.add_row("largest within the noise", *_cells(high))
    for row in report.get("serving", []):
        table.add_row(f"{row['gflops']:g} GFLOPs in use", *_cells(row))
    console.print(table)
    shape = report["shape"]
    if shape is None:
        console.print("The study's sizes do not lie on one line, so no shape is derived.")
    else:
        console.print(
            f"Shape {shape['size']}: {shape['steps']:,} steps, {shape['forward_flops'] / 1e9:.3g} "
            f"GFLOPs a forward pass, {shape['bytes_per_device'] / _GIB:.2f} GiB on a device of the "
            f"recipe's mesh (estimate). {' '.join(f'--set {s}' for s in shape['set'])}"
        )
    for quantity, record in report["backtests"].items():
        if record is not None:
            console.print(f"Backtests of {quantity}: {record}.")
    for row in report["surer"]:
        console.print(
            f"To be surer: {row['runs']} more run{'s' if row['runs'] > 1 else ''} of "
            f"{row['parameters']:.3g} parameters and {row['samples']:.3g} samples, "
            f"{row['compute'] / report['flops']:.1%} of this budget, would make the interval "
            f"{row['width']:.2f} times as wide."
        )
    for note in report["notes"]:
        console.print(note)


def _cells(run: dict[str, Any]) -> list[str]:
    values = [run[quantity] for quantity in QUANTITIES]
    return [
        f"{run['parameters']:.3g}",
        f"{run['samples']:.3g}",
        f"{run['epochs']:.2g}",
        *(f"{v['value']:.4g} ({v['low']:.4g} to {v['high']:.4g})" for v in values),
    ]
