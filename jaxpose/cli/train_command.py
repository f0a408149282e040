"""The options of `jaxpose train`; what it does is in `cli.train`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import Mesh, Recipe, TrustRecipe, takes
from jaxpose.paths import as_path


@dataclass(frozen=True)
class Train:
    """Options of `jaxpose train`."""

    config: Recipe
    workdir: Annotated[
        Path,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="The run directory, here or in a bucket (gs://...). If it holds a run, that run "
            "is resumed.",
        ),
    ]
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a value of the recipe, e.g. `optimizer.learning_rate=1e-4`; repeatable. "
            "`skeleton=NAME|FILE` also sizes the model for it, `dtype=bfloat16` sets every dtype "
            "of the model. `jaxpose config RECIPE` lists the keys.",
        ),
    ] = field(default_factory=list)
    mesh: Mesh = None
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of process 0 of several; `auto` finds it, on SLURM and in TPU pods too.",
        ),
    ] = None
    processes: Annotated[int | None, typer.Option(min=1, help="Number of processes.")] = None
    process: Annotated[int | None, typer.Option(min=0, help="Index of this process, from 0.")] = (
        None
    )
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace what this command wrote to --workdir earlier.",
        ),
    ] = False
    trust_recipe: TrustRecipe = False


@takes(Train)
def train(options: Train) -> None:
    """Train a model, or resume its training, on one host or several.

    A run can be made longer: the same command with a larger `steps` continues from its end. Values
    that affect only reports and saving may change too; other changes are listed and refused.
    """
    from jaxpose.cli.train import train as run

    run(options)
