"""Preparation of labels of DeepLabCut, SLEAP, labelme, CVAT and other tools as records.

The tool is recognised by the content: a DeepLabCut project, its `config.yaml` or one
`CollectedData_*.csv`; a project of Lightning Pose; a `.slp` or `.pkg.slp` of SLEAP; a labelme file
or a folder of them; a JSON export of Label Studio; CVAT's `annotations.xml`; VIA's JSON or CSV; a
`data.yaml` of YOLO-pose; or a folder with one of these.

    jaxpose prepare labels mouse-project --skeleton mouse.toml --out data/mouse

The skeleton's file is written from the labels if it does not exist. Where the tool has no boxes, a
person's box is the extent of the labelled keypoints, enlarged by a quarter.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose import skeletons
from jaxpose.data.canvas import Canvas
from jaxpose.data.script_options import Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.labels.choose import read_labels
from jaxpose.labels.frames import with_frames
from jaxpose.labels.records import annotated_splits
from jaxpose.labels.skeleton import write_skeleton


def prepare(
    labels: Annotated[
        Path, typer.Argument(help="File or folder of labels; the tool is recognised.")
    ],
    skeleton: Annotated[
        str,
        typer.Option(
            help="Skeleton of the records: a name, or a .toml or .py file. A .toml file that does "
            "not exist is written from the labels' names and limbs."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images. Default: where the tool puts them."),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(
            help="Folder into which labelled frames of videos, or inside a .pkg.slp file, are "
            "written as images. Frames that are there are kept."
        ),
    ] = None,
    predicted: Annotated[
        bool, typer.Option("--predicted", help="Also take the predictions in a file of SLEAP.")
    ] = False,
    split: Annotated[
        str, typer.Option(help="Name of the split to write, for labels without splits.")
    ] = "train",
    held_out: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.9,
            help="Fraction of the images for split `val`, for labels without splits. Frames of one "
            "video are alike: hold out whole videos for a fair score.",
        ),
    ] = 0.0,
    box: Annotated[
        Literal["labels", "image"],
        typer.Option(
            help="Box of an individual: the tool's, or the extent of the keypoints without one; or "
            "the whole image, for a model that is used with `predict --boxes full`."
        ),
    ] = "labels",
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of one individual, or a whole image with all of them."
        ),
    ] = "people",
    canvas: Annotated[
        str | None,
        typer.Option(
            help="Size of stored images, HEIGHTxWIDTH. Default: 384x384 for --layout people, "
            "640x640 for --layout images."
        ),
    ] = None,
    empty: Annotated[
        bool, typer.Option(help="With --layout images, store images without labels too.")
    ] = False,
    outside: Annotated[
        bool,
        typer.Option(
            help="Also read images outside the folder, which a name reaches through '..', an "
            "absolute path or a link."
        ),
    ] = False,
    processes: Processes = None,
    overwrite: Overwrite = False,
) -> Summary:
    """Prepare labels of DeepLabCut, SLEAP, labelme, Label Studio, CVAT, VIA or YOLO-pose."""
    from jaxpose.data.builder import write_dataset

    whole = layout == "images"
    found = read_labels(labels, images, outside=outside, predicted=predicted)
    found = with_frames(found, frames)
    written = []
    if skeleton.endswith(".toml") and not Path(skeleton).exists():
        write_skeleton(found, Path(skeleton))
        written = [f"the skeleton was written to {skeleton}: check its pairs and limbs"]
    points = skeletons.load(skeleton)
    splits, skipped, notes = annotated_splits(
        found,
        points,
        split=split,
        held_out=held_out,
        whole_image_boxes=box == "image",
        empty=whole and empty,
    )
    return write_dataset(
        out,
        name="labels",
        splits=splits,
        skipped=skipped,
        skeleton=points,
        canvas=Canvas.parse(canvas or ("640x640" if whole else "384x384")),
        sources={f"labels_{number}": file for number, file in enumerate(found.files)},
        processes=processes,
        overwrite=overwrite,
        notes=[f"tool: {found.tool}", *written, *notes],
        layout=layout,
    )
