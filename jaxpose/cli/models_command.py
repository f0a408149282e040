"""The options of `jaxpose models`; what it does is in `cli.models`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Models:
    """Options of `jaxpose models`."""

    word: Annotated[
        str,
        typer.Argument(
            help="Part of a name, for a shorter list; or one whole name, for its record."
        ),
    ] = ""
    task: Annotated[
        Literal[
            "body",
            "wholebody",
            "hand",
            "face",
            "animal",
            "detector",
            "lifter",
            "backbone",
            "action",
            "mesh",
        ]
        | None,
        typer.Option(help="List the models of one task."),
    ] = None
    skeleton: Annotated[
        str | None, typer.Option(help="List the models of one skeleton, such as coco17.")
    ] = None
    cached: Annotated[
        bool, typer.Option("--cached", help="List the models whose weights are on this machine.")
    ] = False
    unsupported: Annotated[
        bool,
        typer.Option(
            "--unsupported", help="List published weights that cannot run yet, with the reasons."
        ),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print all facts as JSON.")] = False


@takes(Models)
def models(options: Models) -> None:
    """List the published models and whether they are on this machine, or print one's record."""
    from jaxpose.cli.models import models as list_models

    list_models(options)
