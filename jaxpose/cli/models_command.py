"""The options of `jaxpose models`; what it does is in `cli.models`."""

from dataclasses import dataclass
from typing import Annotated

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


@takes(Models)
def models(options: Models) -> None:
    """List the published models with their size, work and score, or print one's whole record."""
    from jaxpose.cli.models import models as list_models

    list_models(options.word)
