"""Preparation of COCO keypoint annotations and their images as jaxpose records.

Any dataset in this format can be prepared: person keypoints of COCO, or a custom dataset with
`--skeleton`. Crowds, people without a labelled keypoint, unusable annotations and unusable images
are left out and counted. With `--layout images` a record is a whole image; crowds and people
without a labelled keypoint are then stored, too, as regions that training leaves out.

    jaxpose prepare coco --annotations person_keypoints_train2017.json --images train2017 \
        --out data/coco_train

With `--dataset`, the files of a public dataset are read by their own conventions: the skeleton and
its order, several lists of keypoints, boxes by centre and scale, coordinates from 1, flags that say
only "labelled". The table of datasets is in `jaxpose/data/published_sets.py`.

    jaxpose prepare coco --dataset ap10k --annotations ap10k-train-split1.json --images data \
        --out data/ap10k
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose import skeletons
from jaxpose.data.canvas import Canvas
from jaxpose.data.coco_json import annotation_files, read_people
from jaxpose.data.published_sets import PUBLISHED, published_key
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError


def prepare(
    annotations: Annotated[
        Path,
        typer.Option(help="JSON file of COCO keypoint annotations, or a folder of them."),
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Skeleton of the keypoints: a name, or a .toml or .py file. Default: coco17."
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Public dataset whose files these are, such as ap10k, wflw or coco_wholebody; it "
            "gives the skeleton and the conventions of the files. Default: COCO's."
        ),
    ] = None,
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
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare a dataset of COCO keypoint annotations."""
    from jaxpose.data.builder import write_dataset

    if dataset is not None and skeleton is not None:
        raise InputError("--dataset determines the skeleton: leave out --skeleton.")
    name = "coco" if dataset is None else published_key(dataset)
    published = None if dataset is None else PUBLISHED[name]
    points = skeletons.load(skeleton or "coco17") if published is None else published.skeleton
    whole = layout == "images"
    annotated, skipped, notes = read_people(
        annotations,
        images,
        points,
        whole_images=whole,
        empty=empty,
        outside=outside,
        published=published,
    )
    return write_dataset(
        out,
        name=name,
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=points,
        canvas=Canvas.parse(canvas or ("640x640" if whole else "384x288")),
        sources=_sources(annotations),
        processes=processes,
        overwrite=overwrite,
        notes=notes,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def _sources(annotations: Path) -> dict[str, Path]:
    """The annotation file, or those of a folder by name."""
    if not annotations.is_dir():
        return {"annotations": annotations}
    return {f"annotations/{file.name}": file for file in annotation_files(annotations)}
