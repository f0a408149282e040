"""The options of `jaxpose suggest-frames`; what it does is in `cli.suggest`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Suggest:
    """Options of `jaxpose suggest-frames`."""

    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="The videos.")]
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write VIDEO/img0007.png into, such as `labeled-data` of a project of "
            "DeepLabCut. Frames that are there count as labelled."
        ),
    ]
    count: Annotated[int, typer.Option(min=1, max=1000, help="Number of frames of a video.")] = 20
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="A .json or .jsonl file of `jaxpose predict` for the videos: frames with low "
            "scores and jumps come first."
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same one gives the same frames.")] = 0


@takes(Suggest)
def suggest_frames(options: Suggest) -> None:
    """Write frames of videos that are worth labelling as images."""
    from jaxpose.cli.suggest import write_suggested

    raise typer.Exit(write_suggested(options))
