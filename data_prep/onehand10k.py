"""Preparation of OneHand10K from its own lists as jaxpose records: hands with 21 keypoints.

    jaxpose prepare onehand10k --annotations Train/label_joint.txt --images Train/source \
        --out data/onehand10k

A line of `label_joint.txt` is an image: its name, width, height, number of hands, and (x, y) of 21
keypoints for each hand, separated by commas. A keypoint that was not labelled is -1, -1. Pixels are
taken as counting from 0, as in MMPose's list.

A hand's box is the square about the extent of its labelled keypoints in whole pixels, not clipped
to the image; MMPose's list has the box of the hand's mask, which is a separate image. The id of an
image is its line's number, from 1; hands are numbered from 1 in the order of the list.

Wang et al., "Mask-pose Cascaded CNN for 2D Hand Pose Estimation from Single Color Images", TCSVT
2019.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.data.canvas import (
    NO_KEYPOINTS,
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
from jaxpose.media.image import missing
from jaxpose.paths import is_inside
from jaxpose.skeletons import HAND21

WRONG_LINE = "line without name, size, number of hands, and 42 numbers for each hand"
LISTED_TWICE = "image listed twice"
_NUMBERS = 2 * HAND21.num_keypoints


def prepare(
    annotations: Annotated[Path, typer.Option(help="List of images, label_joint.txt.")],
    images: Annotated[Path, typer.Option(help="Folder of the images, Train/source.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "256x256",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare OneHand10K."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = hands(annotations, images)
    return write_dataset(
        out,
        name="onehand10k",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=HAND21,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def hands(path: Path, images: Path) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the hands of a list.

    Raises:
        InputError: the file is missing, is not text, or no line is as in OneHand10K.
    """
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        lines = read_text(path, ANNOTATIONS).splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file, so it is no list of OneHand10K.") from error
    real_folder = images.resolve()
    found: list[ImageAnnotation] = []
    skips: list[Skip] = []
    seen: set[str] = set()
    key = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *words = (word.strip() for word in line.strip().rstrip(",").split(","))
        who = f"line {number}, {name}"
        try:
            width, height, count = map(int, words[:3])
        except ValueError:
            skips.append(Skip(WRONG_LINE, who))
            continue
        if count < 1 or len(words) != 3 + count * _NUMBERS:
            skips.append(Skip(WRONG_LINE, who))
            continue
        try:
            points = np.array(words[3:], np.float64).reshape(count, -1, 2)
        except ValueError:
            skips += [Skip(NOT_NUMBERS, who)] * count
            continue
        if fault := "" if is_inside(images / name, real_folder) else OUTSIDE:
            skips += [Skip(fault, who)] * count
            continue
        if name in seen:
            skips += [Skip(LISTED_TWICE, who)] * count
            continue
        seen.add(name)
        people = []
        for place, hand in enumerate(points, start=1):
            labelled = ~(hand == -1).all(axis=1)
            if not labelled.any():
                skips.append(Skip(NO_KEYPOINTS, f"{who}, hand {place}", fault=False))
                continue
            visible = np.where(labelled, 2, 0)
            box = square_of_points(hand[labelled])
            key += 1
            people.append(InstanceAnnotation(key, hand, visible, box, clip=False))
        if people:
            hw = (height, width)
            first = key - len(people)
            found.append(ImageAnnotation(images / name, name, number, tuple(people), first, hw))
    if not found and all(skip.reason == WRONG_LINE for skip in skips):
        raise InputError(
            f"{path} is no list of OneHand10K: a line must be NAME,WIDTH,HEIGHT,HANDS and 42 "
            "numbers for each hand, separated by commas."
        )
    return found, skips
