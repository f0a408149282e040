"""`jaxpose train`: begin or resume a run."""

import dataclasses
import functools
import signal
from pathlib import Path

import typer
from rich.console import Console

from jaxpose.config import override
from jaxpose.hub.load import weights
from jaxpose.train import distributed
from jaxpose.train.loop import train as run_training
from jaxpose.train.mesh import parse_mesh
from jaxpose.train.recipe import open_recipe


@dataclasses.dataclass(frozen=True)
class Processes:
    """Where the other processes are; see `distributed.connect`."""

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None


def train(
    config: str,
    workdir: Path,
    set_: list[str],
    mesh: str | None = None,
    processes: Processes = Processes(),
    overwrite: bool = False,
    trust_recipe: bool = False,
) -> None:
    """Train the recipe `config` in `workdir` with dotted overrides; resumes what it holds.

    Args:
      config: path or name of the recipe.
      workdir: the run directory.
      set_: overrides.
      mesh: sizes of mesh axes, see `parse_mesh`.
      processes: where the others are.
      overwrite: begin afresh, in place of what the directory holds.
      trust_recipe: run code that came with a run that `init_from` names.
    """
    distributed.connect(*dataclasses.astuple(processes))
    console = Console(quiet=not distributed.is_first())
    experiment, recipe = open_recipe(config)
    experiment = override(experiment, set_)
    if mesh is not None:
        experiment = dataclasses.replace(experiment, mesh=parse_mesh(mesh, experiment.mesh))
    read = functools.partial(weights, trust_recipe=trust_recipe)
    outcome = run_training(experiment, workdir, console, read, recipe=recipe, overwrite=overwrite)
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
