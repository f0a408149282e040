"""The options of `jaxpose labels` and `jaxpose skeleton`; what they do is in `cli.labels`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.cli.options import takes

Tool = Literal["deeplabcut", "sleap", "labelme", "label-studio", "cvat", "yolo-pose", "nwb"]


@dataclass(frozen=True)
class LabelsOptions:
    """Options of `jaxpose labels`."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Labels of a tool, a .json or .jsonl file of `jaxpose predict`, or a dataset "
            "of `jaxpose prepare`.",
        ),
    ]
    to: Annotated[Tool, typer.Option(help="The labelling tool to write for.")]
    out: Annotated[Path, typer.Option(help="The folder to write, new or empty.")]
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. Default: as the labels or the results state."),
    ] = None
    frames: Annotated[
        Path | None,
        typer.Option(
            help="Folder into which labelled frames of videos, or inside a .pkg.slp file, are "
            "written as images. Frames that are there are kept."
        ),
    ] = None
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Also take the predictions in a file of SLEAP.")
    ] = False
    split: Annotated[str, typer.Option(help="Split of a dataset.")] = "train"
    min_score: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Leave predicted keypoints below this score without a label."
        ),
    ] = 0.0
    outside: Annotated[
        bool, typer.Option("--outside", help="Also read images outside the folder of the labels.")
    ] = False


@takes(LabelsOptions)
def labels(options: LabelsOptions) -> None:
    """Write labels, predictions or records as files of a labelling tool."""
    from jaxpose.cli.labels import convert_labels

    raise typer.Exit(convert_labels(options))


app = typer.Typer(help="Write skeleton files from labels.", no_args_is_help=True)

_Out = Annotated[Path, typer.Option(help="The .toml file to write.")]


@dataclass(frozen=True)
class FromCoco:
    """Options of `jaxpose skeleton from-coco`."""

    annotations: Annotated[Path, typer.Argument(metavar="FILE", help="JSON of COCO annotations.")]
    out: _Out
    category: Annotated[
        str | None,
        typer.Option(help="Name of the category, where several have different keypoints."),
    ] = None


@dataclass(frozen=True)
class FromLabels:
    """Options of `jaxpose skeleton from-labels`."""

    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="File or folder of labels, as `prepare labels` reads."),
    ]
    out: _Out
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None
    outside: Annotated[
        bool, typer.Option("--outside", help="Also read images outside the folder of the labels.")
    ] = False


@app.command("from-coco")
@plain_faults
@takes(FromCoco)
def from_coco(options: FromCoco) -> None:
    """Write the keypoints and limbs of a COCO file's category as a skeleton file."""
    from jaxpose.cli.labels import skeleton_from_coco

    skeleton_from_coco(options)


@app.command("from-labels")
@plain_faults
@takes(FromLabels)
def from_labels(options: FromLabels) -> None:
    """Write the keypoints and limbs of a labelling tool's files as a skeleton file."""
    from jaxpose.cli.labels import skeleton_from_labels

    skeleton_from_labels(options)
