"""Preparation of COCO keypoint annotations and their images as jaxpose records.

Any dataset in this format can be prepared: person keypoints of COCO, or a custom dataset with
`--skeleton`. Crowds, people without a labelled keypoint, unusable annotations and unusable images
are left out and counted. With `--layout images` a record is a whole image; crowds and people
without a labelled keypoint are then stored, too, as regions that training leaves out.

    jaxpose prepare coco --annotations person_keypoints_train2017.json --images train2017 \
        --out data/coco_train
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose import skeletons
from jaxpose.data.canvas import Canvas
from jaxpose.data.coco_json import read_people
from jaxpose.data.summary import Summary


def prepare(
    annotations: Annotated[Path, typer.Option(help="JSON file of COCO keypoint annotations.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    skeleton: Annotated[
        str, typer.Option(help="Skeleton of the keypoints: a name, or a .toml or .py file.")
    ] = "coco17",
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of one person, or a whole image with all its people."
        ),
    ] = "people",
    canvas: Annotated[
        str | None,
        typer.Option(
            help="Size of stored images, HEIGHTxWIDTH. Default: 384x288 for --layout people, "
            "640x640 for --layout images."
        ),
    ] = None,
    empty: Annotated[
        bool, typer.Option(help="With --layout images, store images without people too.")
    ] = False,
    outside: Annotated[
        bool,
        typer.Option(
            help="Also take images outside the folder of --images, which a file_name reaches "
            "through '..', an absolute path or a link."
        ),
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace what this command wrote to --out earlier.")
    ] = False,
    beam: Annotated[
        str | None, typer.Option(help="Run with Apache Beam, with these pipeline options.")
    ] = None,
) -> Summary:
    """Prepare a dataset of COCO keypoint annotations."""
    from jaxpose.data.builder import write_dataset

    points = skeletons.load(skeleton)
    whole = layout == "images"
    images, skipped, notes = read_people(
        annotations, images, points, whole_images=whole, empty=empty, outside=outside
    )
    return write_dataset(
        out,
        name="coco",
        splits={split: images},
        skipped={split: skipped},
        skeleton=points,
        canvas=Canvas.parse(canvas or ("640x640" if whole else "384x288")),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        notes=notes,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )
