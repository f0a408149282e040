"""Preparation of FreiHAND as jaxpose records: hands with 21 keypoints, in 2D and 3D.

    jaxpose prepare freihand --joints training_xyz.json --cameras training_K.json \
        --images training/rgb --out data/freihand

The files hold the joints of each hand in metres of the camera's frame, and the camera's matrix.
Keypoints are joints projected by it. Each hand is seen before four backgrounds: image 32,560 is
hand 0 again. All joints are labelled, and are stored as visible. With `--layout images` records
also have the joints in millimetres of the camera's frame.

A hand's box is the square about the extent of its keypoints in whole pixels, not clipped to the
image; MMPose's list has the box of the hand's mask. The id of a hand, and of an image, is the
number in the image's name.

Zimmermann et al., "FreiHAND: A Dataset for Markerless Capture of Hand Pose and Shape from Single
RGB Images", ICCV 2019.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

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
from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE, WRONG_LENGTH, read_json
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.media.image import is_image_file
from jaxpose.paths import is_inside
from jaxpose.skeletons import HAND21

NOT_A_NUMBER = "image whose name is no number"
BEHIND = "joint behind the camera"


def prepare(
    joints: Annotated[Path, typer.Option(help="File of joints, training_xyz.json.")],
    cameras: Annotated[Path, typer.Option(help="File of camera matrices, training_K.json.")],
    images: Annotated[Path, typer.Option(help="Folder of the images, training/rgb.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of the hand, or the whole image with the hand in "
            "pixels and in 3D."
        ),
    ] = "people",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "256x256",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare FreiHAND."""
    from jaxpose.data.builder import write_dataset

    annotated, skipped = hands(joints, cameras, images)
    return write_dataset(
        out,
        name="freihand",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=HAND21,
        canvas=Canvas.parse(canvas),
        sources={"joints": joints, "cameras": cameras},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def hands(joints: Path, cameras: Path, images: Path) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the hand of each image.

    Raises:
        InputError: a file is not one of FreiHAND's, or the files have different lengths; there are
            no images.
    """
    check_folder(images)
    points, matrices = _list(joints), _list(cameras)
    if len(points) != len(matrices):
        raise InputError(
            f"{joints} has {len(points):,} hands and {cameras} {len(matrices):,} cameras: give the "
            "two files of the same part of the dataset."
        )
    files = sorted(path for path in images.iterdir() if is_image_file(path))
    if not files:
        raise InputError(f"{images} has no images: give the folder with 00000000.jpg.")
    real_folder = images.resolve()
    found: list[ImageAnnotation] = []
    skips: list[Skip] = []
    for file in files:
        try:
            if not (file.stem.isascii() and file.stem.isdigit()):
                raise _Unusable(NOT_A_NUMBER)
            if not is_inside(file, real_folder):
                raise _Unusable(OUTSIDE)
            number = int(file.stem)
            row = number % len(points)
            hand = _hand(number, points[row], matrices[row])
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), file.name))
        else:
            found.append(ImageAnnotation(file, file.name, number, (hand,), len(found)))
    if not found and all(skip.reason in (WRONG_LENGTH, NOT_NUMBERS) for skip in skips):
        raise InputError(
            f"{joints} and {cameras} are not files of FreiHAND: no item has 21 joints (x, y, z) "
            "and a matrix of three rows."
        )
    return found, skips


class _Unusable(Exception):
    """Error with the reason why an image is skipped."""


def _hand(number: int, joints: Any, camera: Any) -> InstanceAnnotation:
    try:
        points, matrix = np.array(joints, np.float64), np.array(camera, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unusable(NOT_NUMBERS) from error
    if points.shape != (HAND21.num_keypoints, 3) or matrix.shape != (3, 3):
        raise _Unusable(WRONG_LENGTH)
    if not (np.isfinite(points).all() and np.isfinite(matrix).all()):
        raise _Unusable(NOT_NUMBERS)
    if (points[:, 2] <= 0).any():
        raise _Unusable(BEHIND)
    pixels = points @ matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    if not np.isfinite(pixels).all():
        raise _Unusable(NOT_NUMBERS)
    return InstanceAnnotation(
        annotation_id=number,
        keypoints=pixels,
        visible=np.full(len(pixels), 2),
        box_xywh=square_of_points(pixels),
        clip=False,
        keypoints_3d=points * 1000,
    )


def _list(path: Path) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path} is not a file of FreiHAND: it must be a list, one item a hand.")
    return content
