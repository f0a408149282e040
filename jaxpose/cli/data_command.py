"""The options of `jaxpose data`; what its commands do is in `cli.data_check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.cli.image_limit import limits_images
from jaxpose.cli.options import takes

app = typer.Typer(help="Check annotations and prepared data.", no_args_is_help=True)


@dataclass(frozen=True)
class Check:
    """Options of `jaxpose data check`."""

    path: Annotated[Path, typer.Argument(help="COCO keypoint JSON, or a prepared dataset.")]
    images: Annotated[Path | None, typer.Option(help="Folder of the JSON's images.")] = None
    skeleton: Annotated[
        str, typer.Option(help="Skeleton of the JSON: a name, or a .toml or .py file.")
    ] = "coco17"
    out: Annotated[
        Path, typer.Option(help="Image file to write, with eight samples and their targets.")
    ] = Path("data_check.png")
    split: Annotated[str, typer.Option(help="Split of the prepared dataset.")] = "train"
    limit: Annotated[
        int, typer.Option(min=1, help="Number of prepared records to check, spread evenly.")
    ] = 20_000


@app.command("check")
@plain_faults
@limits_images
@takes(Check)
def check(options: Check) -> None:
    """Find annotation faults that spoil training, and show eight samples with their targets.

    Ends with status 1 if there is an error.
    """
    from jaxpose.cli.data_check import data_check

    data_check(options)
