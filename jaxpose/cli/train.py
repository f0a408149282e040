"""`jaxpose train`: begin or resume a run."""

import dataclasses
import functools
import signal

import typer

from jaxpose.cli.train_command import Train
from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.hub.load import weights
from jaxpose.train import distributed
from jaxpose.train.loop import train as run_training
from jaxpose.train.mesh import parse_mesh
from jaxpose.train.recipe import open_recipe


def train(options: Train) -> None:
    """Train a recipe with dotted overrides, or resume the run that `options.workdir` holds."""
    distributed.connect(options.coordinator, options.processes, options.process)
    console = PlainConsole(quiet=not distributed.is_first())
    experiment, recipe = open_recipe(options.config)
    experiment = override(experiment, options.set_)
    if options.mesh is not None:
        mesh = parse_mesh(options.mesh, experiment.mesh)
        experiment = dataclasses.replace(experiment, mesh=mesh)
    workdir = options.workdir
    outcome = run_training(
        experiment,
        workdir,
        console,
        functools.partial(weights, trust_recipe=options.trust_recipe),
        recipe=recipe,
        overwrite=options.overwrite,
    )
    if outcome.stopped_by is not None:
        console.print(f"Saved at step {outcome.step}. The same command goes on from there.")
        # Preemption is an orderly end; Ctrl-C is reported as the shell expects it.
        raise typer.Exit(130 if outcome.stopped_by is signal.SIGINT else 0)
    if outcome.report is not None and distributed.is_first():
        console.print(outcome.report.table())
        if (workdir / "predictions.png").exists():
            console.print(f"Predictions beside the truth: {workdir / 'predictions.png'}")
    if hint := experiment.task().next_step(str(workdir)):
        console.print(f"Next: {hint}")
