"""The options of `jaxpose eval`; what it does is in `cli.evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import Checkpoint, TrustRecipe, flip_flags, takes
from jaxpose.paths import as_path


@dataclass(frozen=True)
class Eval:
    """Options of `jaxpose eval`."""

    run: Annotated[
        Path,
        typer.Argument(parser=as_path, metavar="RUN", help="The run directory of a trained model."),
    ]
    checkpoint: Checkpoint = "best"
    data: Annotated[
        str | None, typer.Option(help="A prepared dataset; the run's own held-out data if absent.")
    ] = None
    split: Annotated[
        str | None, typer.Option(help="The split of --data; `val` if absent. Only with --data.")
    ] = None
    flip_test: Annotated[
        bool | None,
        flip_flags("Average with the mirrored image; as the run's recipe says if absent."),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="Folder for the report; `eval` in the run if absent.",
        ),
    ] = None
    trust_recipe: TrustRecipe = False


@takes(Eval)
def evaluate(options: Eval) -> None:
    """Score a trained model on held-out people."""
    from jaxpose.cli.evaluate import evaluate as score

    score(options)
