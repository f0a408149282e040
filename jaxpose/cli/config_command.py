"""The options of `jaxpose config`; what it does is in `cli.config`."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from jaxpose.cli.options import Recipe, takes


@dataclass(frozen=True)
class Config:
    """Options of `jaxpose config`."""

    recipe: Recipe
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a value first. `skeleton=NAME|FILE` also sizes the model for it, "
            "`dtype=bfloat16` sets every dtype of the model; repeatable.",
        ),
    ] = field(default_factory=list)


@takes(Config)
def config(options: Config) -> None:
    """Print every key of a recipe that `--set` can change, with its type and value."""
    from jaxpose.cli.config import print_config

    print_config(options.recipe, options.set_)
