"""Preparation of faces with a text file of landmarks for each image as jaxpose records.

    jaxpose prepare face_landmarks --landmarks afw --landmarks helen/trainset \
        --landmarks lfpw/trainset --out data/300w_train
    jaxpose prepare face_landmarks --landmarks LaPa/train/landmarks --images LaPa/train/images \
        --out data/lapa_train

Two formats are read, in all folders inside those of `--landmarks`. iBUG's `.pts` files (300-W,
300-VW, Menpo, and these datasets' parts AFW, HELEN, LFPW and IBUG) count pixels from 1, in the
convention of MATLAB, so 1 is subtracted; MMPose's list of 300-W keeps the numbers, so that its
faces are one pixel further to the right and below. LaPa's `.txt` files begin with the number of
landmarks and count from 0. The image of a file has the same name, and lies beside it or at the same
place inside `--images`. Every landmark is labelled, and is stored as visible.

A face's box is the square about the extent of its landmarks in whole pixels, not clipped to the
image. Faces are numbered from 1 in the order of the folders and of the files' names.

Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013; Liu et al., "A New Dataset and
Boundary-Attention Semantic Segmentation for Face Parsing", AAAI 2020.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.data.canvas import (
    Canvas,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    check_folder,
    square_of_points,
)
from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.media.image import IMAGE_SUFFIXES
from jaxpose.paths import is_inside
from jaxpose.skeletons import COFW29, FACE68, FACE98, FACE106, Skeleton

SKELETONS = {each.num_keypoints: each for each in (COFW29, FACE68, FACE98, FACE106)}
NO_LANDMARKS = "file that is no list of landmarks"
OTHER_NUMBER = "another number of landmarks than the first file"
NO_IMAGE = "no image of the same name"
SEVERAL_IMAGES = "several images of the same name"


def prepare(
    landmarks: Annotated[
        list[Path],
        typer.Option(help="Folder with .pts or .txt files of landmarks; give it once for each."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images. Default: beside the landmarks.")
    ] = None,
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x384",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare faces with a file of landmarks for each image: 300-W, Menpo, LaPa."""
    from jaxpose.data.builder import write_dataset

    annotated, skipped, skeleton = faces(landmarks, images)
    return write_dataset(
        out,
        name=skeleton.name,
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=skeleton,
        canvas=Canvas.parse(canvas),
        sources={},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def faces(
    folders: list[Path], images: Path | None = None
) -> tuple[list[ImageAnnotation], list[Skip], Skeleton]:
    """Read the faces of all files of landmarks in folders.

    Raises:
        InputError: a folder is missing; there is no file of landmarks, or the first one has a
            number of them that no skeleton has.
    """
    for folder in [*folders, *([] if images is None else [images])]:
        check_folder(folder)
    found: list[ImageAnnotation] = []
    skips: list[Skip] = []
    first: tuple[Path, int] | None = None
    for number, (folder, file) in enumerate(_files(folders), start=1):
        who = str(file.relative_to(folder))
        try:
            points = _points(file)
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), who))
            continue
        if first is None:
            first = file, len(points)
        if len(points) != first[1]:
            skips.append(Skip(OTHER_NUMBER, f"{who}: {len(points)}"))
            continue
        beside = file if images is None else images / file.relative_to(folder)
        choices = [beside.with_suffix(suffix) for suffix in _SUFFIXES]
        choices = [path for path in choices if path.exists()]
        if len(choices) != 1:
            skips.append(Skip(SEVERAL_IMAGES if choices else NO_IMAGE, who))
        elif not is_inside(choices[0], (folder if images is None else images).resolve()):
            skips.append(Skip(OUTSIDE, who))
        else:
            face = InstanceAnnotation(
                number, points, np.full(len(points), 2), square_of_points(points), clip=False
            )
            name = str(choices[0].relative_to(folder if images is None else images))
            found.append(ImageAnnotation(choices[0], name, number, (face,), len(found)))
    if first is None:
        raise InputError(
            f"No file of landmarks in {', '.join(map(str, folders))}: it must be a .pts file of "
            "iBUG's (version, n_points, and points between braces), or a .txt file of LaPa's (the "
            "number of landmarks, and a line x y for each)."
        )
    if first[1] not in SKELETONS:
        raise InputError(
            f"{first[0]} has {first[1]} landmarks; known markups have "
            f"{', '.join(map(str, SKELETONS))}. Convert it to COCO's JSON, describe the keypoints "
            "in a skeleton.toml, and use `jaxpose prepare coco --skeleton`."
        )
    return found, skips, SKELETONS[first[1]]


_SUFFIXES = sorted({case(suffix) for suffix in IMAGE_SUFFIXES for case in (str.lower, str.upper)})


class _Unusable(Exception):
    """Error with the reason why a file is skipped."""


def _files(folders: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Files of landmarks, each with its folder of `folders`, in order."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in {".pts", ".txt"} and file.is_file():
                yield folder, file


def _points(file: Path) -> np.ndarray:
    """Landmarks `[K, 2]` of a file in pixels, the centre of the first one at 0."""
    try:
        lines = [line.strip() for line in read_text(file, ANNOTATIONS).splitlines()]
    except (UnicodeDecodeError, InputError) as error:
        raise _Unusable(NO_LANDMARKS) from error
    lines = [line for line in lines if line]
    from_one = file.suffix.lower() == ".pts"
    if from_one:
        if not {"{", "}"} <= set(lines) or lines.index("}") < lines.index("{"):
            raise _Unusable(NO_LANDMARKS)
        head, rows = lines[: lines.index("{")], lines[lines.index("{") + 1 : lines.index("}")]
        stated = [line.partition(":")[2].strip() for line in head if line.startswith("n_points")]
    else:
        stated, rows = lines[:1], lines[1:]
    if stated != [str(len(rows))] or not rows:
        raise _Unusable(NO_LANDMARKS)
    try:
        points = np.array([row.split() for row in rows], np.float64)
    except ValueError as error:
        raise _Unusable(NOT_NUMBERS) from error
    if points.shape != (len(rows), 2) or not np.isfinite(points).all():
        raise _Unusable(NOT_NUMBERS)
    return points - 1 if from_one else points
