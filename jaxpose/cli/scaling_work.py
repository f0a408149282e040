"""`jaxpose scaling plan` and `run`: a study's points and their training."""

from rich.table import Table

from jaxpose.cli.scaling import Plan, Run
from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.scaling import plan as planning
from jaxpose.scaling import shapes
from jaxpose.scaling.leases import locked
from jaxpose.scaling.manifest import FILE, Manifest, read_manifest, write_manifest
from jaxpose.scaling.worker import State, work
from jaxpose.train.recipe import load_recipe


def plan(options: Plan) -> None:
    """Write the manifest of a new study, or add points to a study of the same recipe."""
    experiment = override(load_recipe(options.config), options.set_)
    sizes = [shapes.named(text) for text in options.size]
    if joint := options.numbers("joint"):
        exponents = options.shape_exponents or shapes.SHAPE_EXPONENTS
        sizes += shapes.joint(experiment, joint, exponents)
    if axes := options.axes:
        sizes += (shapes.star if options.star else shapes.grid)(experiment, axes)
    if not sizes:
        raise InputError(
            "A plan needs sizes: --width 64,128,256 and other axes of a ViT (with --star one at a "
            "time), --joint 1,4,16, or --size 'NAME: key=value' for any model."
        )
    study = options.study
    planned = planning.plan(
        experiment,
        options.config,
        sizes,
        flops=options.numbers("flops"),
        samples=options.numbers("samples"),
        seeds=options.whole_seeds,
        cooldown=options.cooldown,
        held_out=options.held_out,
        max_epochs=options.max_epochs,
    )
    study.mkdir(parents=True, exist_ok=True)
    with locked(study):
        if (study / FILE).exists():
            planned = planning.extend(read_manifest(study), planned)
        write_manifest(study, planned)
    console = PlainConsole()
    console.print(_table(planned))
    runs = planned.points
    total = sum(p.compute - (planned.point(p.after).compute if p.after else 0.0) for p in runs)
    console.print(
        f"{len(runs)} runs, {total:.3g} FLOPs in all. Next: jaxpose scaling run {study}",
    )


def _table(manifest: Manifest) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("point", "parameters", "steps", "samples", "epochs", "FLOPs"):
        table.add_column(title, justify="left" if title == "point" else "right")
    for point in manifest.points:
        table.add_row(
            point.name + (" (held out)" if point.held_out else ""),
            f"{point.parameters:,}",
            f"{point.steps:,}",
            f"{point.samples:,}",
            f"{point.epochs:.2f}",
            f"{point.compute:.3g}",
        )
    return table


def run(options: Run) -> int:
    """Work on a study; the exit status is 1 when points have failed."""
    console = PlainConsole()
    state = work(
        options.study,
        console,
        patience=options.patience,
        limit=options.limit,
        retry=options.retry,
        keep=options.keep,
    )
    console.print(_in_words(state))
    for name, reason in state.failed.items():
        console.print(f"{name}: {reason}")
    if state.failed:
        console.print("--retry tries failed points again.")
    elif not (state.free or state.held or state.waiting):
        console.print(f"Next: jaxpose scaling fit {options.study}")
    return 1 if state.failed else 0


def _in_words(state: State) -> str:
    total = sum(map(len, (state.done, state.failed, state.free, state.held, state.waiting)))
    words = [f"{len(state.done)} of {total} points done"]
    words += [f"{len(state.failed)} failed"] if state.failed else []
    words += [f"{len(state.free)} free"] if state.free else []
    words += [f"{len(state.waiting)} waiting for others"] if state.waiting else []
    words += [f"{name} with {who}" for name, who in state.held.items()]
    return "; ".join(words) + "."
