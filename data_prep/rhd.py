"""Preparation of RHD (Rendered Handpose Dataset) from its own files as jaxpose records.

    jaxpose prepare rhd --annotations RHD_published_v2/training/anno_training.pickle \
        --images RHD_published_v2/training/color --out data/rhd

The pickle is read without running code of it. It maps the number of an image to `xyz`, `[42, 3]`
metres in the camera's frame, `uv_vis`, `[42, 3]` pixels and a flag of visibility, and `K`, the
camera's matrix `[3, 3]`; image 12 is `00012.png`. Rows 0 to 20 are the left hand, and the others
the right one, each in the order of the skeleton `rhd21`: the wrist, then each finger from its tip.
Pixels count from 0: `K` projects `xyz` to `uv_vis`.

A record is one hand. Keypoints whose flag is 0 are stored as occluded, those of them outside the
image (320x320) as not labelled. Hands without a visible keypoint are left out; `--min-visible` sets
another number. With `--layout images` records also have the joints in millimetres of the camera's
frame.

A hand's box is the square about the extent of its labelled keypoints in whole pixels, not clipped
to the image. The id of an image is its number, that of a hand twice that number, plus 1 for a right
one.

Zimmermann and Brox, "Learning to Estimate 3D Hand Pose from Single RGB Images", ICCV 2017.
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
    by_image,
    check_folder,
    square_of_points,
)
from jaxpose.data.coco_json import NOT_NUMBERS, WRONG_LENGTH
from jaxpose.data.pickles import read_pickle
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.skeletons import RHD21

TOO_FEW = "hand with fewer visible keypoints than --min-visible"
SIDE = 320
"""Height and width of all images in pixels."""

_JOINTS = RHD21.num_keypoints


def prepare(
    annotations: Annotated[
        Path, typer.Option(help="anno_training.pickle or anno_evaluation.pickle.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images, training/color.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    min_visible: Annotated[
        int, typer.Option(min=1, max=_JOINTS, help="Visible keypoints that a hand needs.")
    ] = 1,
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of a hand, or a whole image with its hands in pixels "
            "and in 3D."
        ),
    ] = "people",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "256x256",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare RHD."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = hands(annotations, images, min_visible)
    return write_dataset(
        out,
        name="rhd",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=RHD21,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def hands(
    path: Path, images: Path, min_visible: int = 1
) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the hands of all images, in the order of their numbers.

    Raises:
        InputError: the file is missing, or is no pickle of RHD.
    """
    content = read_pickle(path)
    if not isinstance(content, dict) or not content or not all(map(_is_number, content)):
        raise InputError(
            f"{path} is no file of RHD: it must map numbers of images to `xyz`, `uv_vis` and `K`."
        )
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    for number in sorted(content):
        name = f"{number:05d}.png"
        image = ImageAnnotation(images / name, name, int(number), (), 0, (SIDE, SIDE))
        fault, table, joints = _table(content[number])
        for side, hand in enumerate(("left", "right")):
            who = f"{hand} hand of {name}"
            rows = slice(side * _JOINTS, (side + 1) * _JOINTS)
            if fault:
                skips.append(Skip(fault, who))
            elif (table[rows, 2] > 0).sum() < min_visible:
                skips.append(Skip(TOO_FEW, who, fault=False))
            else:
                own = _hand(2 * int(number) + side, table[rows], joints[rows])
                people.append((image, own))
    if not people and all(skip.reason in (WRONG_LENGTH, NOT_NUMBERS) for skip in skips):
        raise InputError(
            f"{path} is no file of RHD: no entry has 42 rows of `xyz` and of `uv_vis`."
        )
    return list(by_image(people)), skips


def _is_number(key: Any) -> bool:
    return isinstance(key, int | np.integer) and 0 <= key < 2**62


def _table(entry: Any) -> tuple[str, np.ndarray, np.ndarray]:
    """Fault of an entry, or an empty text, `uv_vis [42, 3]` and `xyz [42, 3]`, float64."""
    nothing = np.zeros((2 * _JOINTS, 3))
    try:
        table, joints = (np.array(entry[name], np.float64) for name in ("uv_vis", "xyz"))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return NOT_NUMBERS, nothing, nothing
    if table.shape != nothing.shape or joints.shape != nothing.shape:
        return WRONG_LENGTH, nothing, nothing
    if not (np.isfinite(table).all() and np.isfinite(joints).all()):
        return NOT_NUMBERS, nothing, nothing
    return "", table, joints


def _hand(number: int, table: np.ndarray, joints: np.ndarray) -> InstanceAnnotation:
    points, seen = table[:, :2], table[:, 2] > 0
    inside = ((points >= 0) & (points <= SIDE - 1)).all(axis=1)
    labelled = seen | inside
    return InstanceAnnotation(
        annotation_id=number,
        keypoints=points,
        visible=np.where(seen, 2, np.where(inside, 1, 0)),
        box_xywh=square_of_points(points[labelled]),
        clip=False,
        keypoints_3d=joints * 1000,
    )
