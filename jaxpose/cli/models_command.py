"""The options of `jaxpose models`; what it does is in `cli.models`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Models:
    """Options of `jaxpose models`."""

    word: Annotated[str, typer.Argument(help="Show the models whose name contains this.")] = ""


@takes(Models)
def models(options: Models) -> None:
    """List the published models: size, work, score, and the tests against published code."""
    from jaxpose.cli.models import models as list_models

    list_models(options.word)
