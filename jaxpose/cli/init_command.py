"""The options of `jaxpose init`; what it does is in `cli.init`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Init:
    """Options of `jaxpose init`."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="File or folder of labels, as `prepare labels` reads, or a JSON file of COCO.",
        ),
    ]
    out: Annotated[Path, typer.Option(help="Folder of the project to write.")]
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. Default: where the tool puts them."),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Skeleton of the records, a name or a file. Default: `skeleton.toml` of the "
            "project, which is written with the labels' names and limbs if it does not exist."
        ),
    ] = None
    held_out: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=0.9,
            help="Fraction of the images for split `val`, for labels without splits; whole videos "
            "if there are 5 or more.",
        ),
    ] = 0.2
    box: Annotated[
        Literal["auto", "labels", "image"],
        typer.Option(
            help="Box of an individual: that of the labels, or the whole image; `auto` takes the "
            "image if each has one individual that is not tiny, and else makes a model that finds "
            "the individuals without boxes."
        ),
    ] = "auto"
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Also take the predictions in a file of SLEAP.")
    ] = False
    outside: Annotated[
        bool, typer.Option("--outside", help="Also read images outside the folder of the labels.")
    ] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the records and the recipe of a project.")
    ] = False
    processes: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes. Default: one per core.")
    ] = None


@takes(Init)
def init(options: Init) -> None:
    """Make a project that trains, from labelled images: skeleton, records and recipe."""
    from jaxpose.cli.init import make_project

    raise typer.Exit(make_project(options))
