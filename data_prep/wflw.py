"""Preparation of WFLW from its own lists as jaxpose records: faces with 98 landmarks.

    jaxpose prepare wflw --annotations list_98pt_rect_attr_train.txt --images WFLW_images \
        --out data/wflw_train
    jaxpose prepare wflw --annotations list_98pt_rect_attr_test.txt --images WFLW_images \
        --only occlusion --split test --out data/wflw_occlusion

A line of a list is a face: 98 landmarks (x, y), a rectangle of two corners, six attributes (0 or 1)
and the image. Errors are published for all test faces and for those with each attribute, which
`--only` selects: pose (large), expression, illumination, make-up, occlusion, blur. Every landmark
is labelled, and is stored as visible.

A face's box is the square about the extent of its landmarks in whole pixels, not clipped to the
image; MMPose's and HRNet's lists have the same centre and scale. The id of a face is its line's
number, from 1; that of an image the number of its first face.

Wu et al., "A Boundary-Aware Face Alignment Algorithm", CVPR 2018.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from jaxpose.data.canvas import (
    Canvas,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    by_image,
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
from jaxpose.skeletons import FACE98

ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
WRONG_LINE = "line without 206 numbers and a file name"
OTHER_ATTRIBUTE = "face without the attribute of --only"
_NUMBERS = 2 * 98 + 4 + len(ATTRIBUTES)

Attribute = Literal["pose", "expression", "illumination", "make-up", "occlusion", "blur"]


def prepare(
    annotations: Annotated[
        Path, typer.Option(help="List of faces, list_98pt_rect_attr_train.txt or ..._test.txt.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images, WFLW_images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    only: Annotated[
        Attribute | None, typer.Option(help="Write only the faces that have this attribute.")
    ] = None,
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x384",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare WFLW, all faces or those with one attribute."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = faces(annotations, images, only)
    return write_dataset(
        out,
        name="wflw",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=FACE98,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def faces(
    path: Path, images: Path, only: str | None = None
) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the faces of a list, all or those with an attribute.

    Raises:
        InputError: the file is missing, is not text, or no line is a face.
    """
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        lines = read_text(path, ANNOTATIONS).splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file, so it is no list of WFLW.") from error
    real_folder = images.resolve()
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    first_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        who = f"line {number}"
        words = line.split(maxsplit=_NUMBERS)
        if len(words) != _NUMBERS + 1:
            skips.append(Skip(WRONG_LINE, who))
            continue
        name = words[-1].strip()
        who = f"line {number}, {name}"
        try:
            values = np.array(words[:-1], np.float64)
        except ValueError:
            skips.append(Skip(NOT_NUMBERS, who))
            continue
        has = dict(zip(ATTRIBUTES, values[-len(ATTRIBUTES) :] > 0, strict=True))
        if not is_inside(images / name, real_folder):
            skips.append(Skip(OUTSIDE, who))
        elif only is not None and not has[only]:
            skips.append(Skip(OTHER_ATTRIBUTE, who, fault=False))
        else:
            points = values[: 2 * 98].reshape(98, 2)
            face = InstanceAnnotation(
                number, points, np.full(98, 2), square_of_points(points), clip=False
            )
            image_id = first_of.setdefault(name, number)
            people.append((ImageAnnotation(images / name, name, image_id, (), 0), face))
    if all(skip.reason == WRONG_LINE for skip in skips) and not people:
        raise InputError(
            f"{path} is no list of WFLW: no line has {_NUMBERS} numbers and the name of an image."
        )
    return list(by_image(people)), skips
