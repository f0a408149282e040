"""Preparation of AFLW from its own database as jaxpose records: faces with 19 landmarks.

    jaxpose prepare aflw --annotations aflw/data/aflw.sqlite --images aflw/data/flickr \
        --out data/aflw

The database is opened to read only. Table `Faces` has the faces, `FaceImages` their images,
`FaceRect` their boxes (x, y, w, h), and `FeatureCoords` the position of each landmark that is
visible; the others have no row, and are not labelled. `FeatureCoordTypes` names the 21 types, of
which "Left" is on the left in the image, the person's right. The skeleton `aflw19` has all but the
two ears, as usual for this dataset. Pixels are taken as counting from 0, as in MMPose's list.

A face without a box gets the square about the extent of its landmarks in whole pixels. The ids of
faces are those of the database; the id of an image is that of its first face.

The usual parts for training and test (20,000 and 4,386 faces) are lists by others, which MMPose's
files follow (`jaxpose prepare coco --dataset aflw`).

Koestinger et al., "Annotated Facial Landmarks in the Wild", ICCV workshops 2011.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jaxpose.data.canvas import (
    NO_KEYPOINTS,
    Canvas,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    by_image,
    check_folder,
    square_of_points,
)
from jaxpose.data.coco_json import BAD_ID, ID_TWICE, NOT_NUMBERS, OUTSIDE, is_id
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.sqlite_tables import read_sqlite
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.paths import is_inside
from jaxpose.skeletons import AFLW19

NO_IMAGE = "face without an image in the database"
SEVERAL_BOXES = "face with several boxes"
TWICE = "landmark with several positions"
TYPES = (
    *("LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner"),
    *("RightBrowLeftCorner", "RightBrowCenter", "RightBrowRightCorner"),
    *("LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner"),
    *("RightEyeLeftCorner", "RightEyeCenter", "RightEyeRightCorner"),
    *("NoseLeft", "NoseCenter", "NoseRight"),
    *("MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter"),
)
"""The database's names of the landmarks, in the order of the skeleton."""

_TABLES = {
    "FeatureCoordTypes": ("feature_id", "descr"),
    "FaceImages": ("file_id", "filepath", "width", "height"),
    "FaceRect": ("face_id", "x", "y", "w", "h"),
    "FeatureCoords": ("face_id", "feature_id", "x", "y"),
    "Faces": ("face_id", "file_id"),
}


def prepare(
    annotations: Annotated[Path, typer.Option(help="Database of the faces, aflw.sqlite.")],
    images: Annotated[Path, typer.Option(help="Folder of the images, with folders 0, 2 and 3.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x384",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare AFLW."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = faces(annotations, images)
    return write_dataset(
        out,
        name="aflw",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=AFLW19,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


class _Unusable(Exception):
    """Error with the reason why a face is skipped."""


def faces(path: Path, images: Path) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the faces of a database, in the order of its table `Faces`.

    Raises:
        InputError: the file is missing, or is no database of AFLW.
    """
    tables = read_sqlite(path, _TABLES)
    places = {
        number: TYPES.index(name) for number, name in tables["FeatureCoordTypes"] if name in TYPES
    }
    if sorted(places.values()) != list(range(len(TYPES))):
        absent = sorted({*TYPES} - {TYPES[place] for place in places.values()})
        raise InputError(
            f"{path} is no database of AFLW: FeatureCoordTypes must name each landmark once; "
            f"absent: {', '.join(absent) or 'none'}."
        )
    files = {row[0]: row[1:] for row in tables["FaceImages"]}
    boxes, points = defaultdict(list), defaultdict(list)
    for face_id, *box in tables["FaceRect"]:
        boxes[face_id].append(box)
    for face_id, feature, *place in tables["FeatureCoords"]:
        if feature in places:
            points[face_id].append((places[feature], place))
    real_folder = images.resolve()
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    seen: set[Any] = set()
    first_of: dict[str, int] = {}
    for number, file in tables["Faces"]:
        who = f"face {number} of image {file}"
        try:
            if not is_id(number):
                raise _Unusable(BAD_ID)
            if number in seen:
                raise _Unusable(ID_TWICE)
            seen.add(number)
            name, *size = files.get(file, (None, None, None))
            if not isinstance(name, str):
                raise _Unusable(NO_IMAGE)
            who = f"face {number} of {name}"
            if not is_inside(images / name, real_folder):
                raise _Unusable(OUTSIDE)
            face = _face(number, points[number], boxes[number])
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), who, str(unusable) != NO_KEYPOINTS))
            continue
        width, height = size
        known = is_id(width) and is_id(height) and width > 0 and height > 0
        image_id = first_of.setdefault(name, number)
        hw = (height, width) if known else None
        people.append((ImageAnnotation(images / name, name, image_id, (), 0, hw), face))
    return list(by_image(people)), skips


def _face(number: int, points: list[Any], boxes: list[Any]) -> InstanceAnnotation:
    keypoints = np.zeros((AFLW19.num_keypoints, 2))
    visible = np.zeros(AFLW19.num_keypoints, np.int64)
    try:
        for place, xy in points:
            if visible[place]:
                raise _Unusable(TWICE)
            keypoints[place], visible[place] = np.array(xy, np.float64), 2
        if not points:
            raise _Unusable(NO_KEYPOINTS)
        if len({*map(tuple, boxes)}) > 1:
            raise _Unusable(SEVERAL_BOXES)
        box = np.array(boxes[0], np.float64) if boxes else square_of_points(keypoints[visible > 0])
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unusable(NOT_NUMBERS) from error
    return InstanceAnnotation(number, keypoints, visible, box, clip=bool(boxes))
