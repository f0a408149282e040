"""Preparation of UBody from its own files as jaxpose records: people with 133 keypoints.

    jaxpose prepare ubody --annotations annotations --images images \
        --test-list splits/intra_scene_test_list.npy --out data/ubody
    jaxpose prepare ubody --annotations annotations --images images --part test \
        --test-list splits/intra_scene_test_list.npy --split test --out data/ubody_test

`--annotations` is the folder with `SCENE/keypoint_annotation.json` for each of 15 scenes, in the
format of COCO-WholeBody, and `--images` the folder with `SCENE/VIDEO/000001.png`. The dataset has
videos; its images are their frames at 30 frames per second, numbered from 1:

    ffmpeg -i videos/SCENE/VIDEO.mp4 -f image2 -r 30 images/SCENE/VIDEO/%06d.png

`--test-list` names the videos of the intra-scene test part, and `--part` selects one part. Names of
parts of a video end in `_Trim` and a number, which is not compared. People whose image is absent
are left out, and counted. One file `--annotations SCENE/keypoint_annotation.json` is read with
`--images images/SCENE`.

Ids are those of the file times the number of scenes, plus the scene's place in the order of names.

Lin et al., "One-Stage 3D Whole-Body Mesh Recovery with Component Aware Transformer", CVPR 2023.
"""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from jaxpose.convert.npz import HEADERS
from jaxpose.data.canvas import Canvas, ImageAnnotation, Skip, check_folder
from jaxpose.data.coco_json import read_people
from jaxpose.data.published_sets import PUBLISHED
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.file_limits import SETTINGS, read_bytes
from jaxpose.media.image import missing

OTHER_PART = "video of the other part"
FILE = "keypoint_annotation.json"


def prepare(
    annotations: Annotated[
        Path,
        typer.Option(help="Folder with SCENE/keypoint_annotation.json, or one of these files."),
    ],
    images: Annotated[
        Path, typer.Option(help="Folder with SCENE/VIDEO/000001.png, or that of the scene.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    test_list: Annotated[
        Path | None,
        typer.Option(help="List of the test videos (.npy). Default: videos of both parts."),
    ] = None,
    part: Annotated[
        Literal["train", "test"], typer.Option(help="With --test-list, the part to write.")
    ] = "train",
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
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
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare UBody."""
    from jaxpose.data.builder import write_dataset

    whole = layout == "images"
    if part == "test" and test_list is None:
        raise InputError("--part test needs --test-list, splits/intra_scene_test_list.npy.")
    videos = None if test_list is None else test_videos(test_list)
    annotated, skipped, notes = people(annotations, images, videos, part == "test", whole)
    sources = {path.parent.name or path.stem: path for path in _files(annotations)}
    return write_dataset(
        out,
        name="ubody",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=PUBLISHED["ubody"].skeleton,
        canvas=Canvas.parse(canvas or ("640x640" if whole else "384x288")),
        sources=sources if test_list is None else sources | {"test_list": test_list},
        processes=processes,
        overwrite=overwrite,
        notes=notes,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def people(
    annotations: Path,
    images: Path,
    videos: frozenset[str] | None = None,
    test: bool = False,
    whole_images: bool = False,
) -> tuple[list[ImageAnnotation], list[Skip], list[str]]:
    """Read the people of all scenes, and remarks on the files.

    Args:
      annotations, images: as of `prepare`.
      videos: names of the videos of the test part; None for the videos of both parts.
      test: read the test part, instead of the others.
      whole_images: also read crowd regions and segmentations, which whole images need.

    Raises:
        InputError: there is no file, or one that `read_people` refuses.
    """
    check_folder(images)
    files = _files(annotations)
    layout = PUBLISHED["ubody"]
    found: list[ImageAnnotation] = []
    skips: list[Skip] = []
    notes: list[str] = []
    key = 0
    for place, path in enumerate(files):
        scene = path.parent.name if annotations.is_dir() else ""
        read, left_out, remarks = read_people(
            path, images / scene, layout.skeleton, whole_images=whole_images, published=layout
        )
        skips += [
            replace(skip, who=f"{scene}: {skip.who}" if scene else skip.who) for skip in left_out
        ]
        notes += [f"{scene}: {remark}" if scene else remark for remark in remarks]
        for image in read:
            name = f"{scene}/{image.name}" if scene else image.name
            if videos is not None and (_video(image.name) in videos) != test:
                who = (f"annotation {person.annotation_id} in {name}" for person in image.people)
                skips += [Skip(OTHER_PART, each, fault=False) for each in who]
                continue
            own = tuple(
                replace(person, annotation_id=person.annotation_id * len(files) + place)
                for person in image.people
            )
            number = image.image_id * len(files) + place
            found.append(replace(image, name=name, image_id=number, people=own, first_key=key))
            key += len(own)
    return found, skips, notes


def test_videos(path: Path) -> frozenset[str]:
    """Names of the videos in a list, an array of texts in NumPy's format.

    Raises:
        InputError: the file is missing, damaged, or has no texts.
    """
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    content = read_bytes(path, SETTINGS)
    try:
        file = io.BytesIO(content)
        shape, _, dtype = HEADERS[np.lib.format.read_magic(file)](file)
        if dtype.kind != "U" or math.prod(shape) * dtype.itemsize > len(content):
            raise ValueError("it is no array of texts")
        names = np.load(io.BytesIO(content), allow_pickle=False).ravel().tolist()
    except Exception as error:  # arbitrary bytes make NumPy raise nearly anything
        raise InputError(f"{path} is no list of videos in NumPy's format: {error}.") from error
    return frozenset(names)


def _video(name: str) -> str:
    """Name of the video of an image's path, without the number of the part."""
    return Path(name).parent.name.partition("_Trim")[0]


def _files(annotations: Path) -> list[Path]:
    if not annotations.is_dir():
        return [annotations]
    files = sorted(annotations.glob(f"*/{FILE}"))
    if not files:
        raise InputError(f"{annotations} has no file SCENE/{FILE}.")
    return files
