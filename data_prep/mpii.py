"""Preparation of MPII Human Pose as jaxpose records.

    jaxpose prepare mpii --annotations mpii_human_pose_v1_u12_1.mat --images images \
        --out data/mpii

Two types of annotation file can be read. The official `.mat` contains the people of training images
(annotations of test people are not public); all annotated people are written to one split. The JSON
lists that MMPose and HRNet use contain the usual train and validation parts of them.

A person has a centre and a scale. Their box is the square of 200 x scale pixels about the centre,
moved down by 15 x scale so that it contains the feet, as usual for this dataset. It is not clipped
to the image. In both types coordinates are MATLAB's: the first pixel is 1.
"""

from collections.abc import Iterator
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
)
from jaxpose.data.coco_json import NOT_NUMBERS, OUTSIDE, WRONG_LENGTH, read_json
from jaxpose.data.matlab import read_mat
from jaxpose.data.published_sets import PIXELS_PER_SCALE
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.paths import is_inside
from jaxpose.skeletons import MPII16

NO_CENTRE = "no centre or scale"
DOWN_PER_SCALE = 15.0
PEOPLE_PER_PHOTO = 1000
"""Factor of ids from the .mat: image n of the list has id n, its person m this times n plus m."""

People = tuple[list[ImageAnnotation], list[Skip]]


def prepare(
    annotations: Annotated[
        Path, typer.Option(help="Annotation file: the official .mat, or MMPose's JSON.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x288",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare MPII Human Pose."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    read = people_of_mat if annotations.suffix == ".mat" else people_of_json
    annotated, skipped = read(annotations, images)
    return write_dataset(
        out,
        name="mpii",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=MPII16,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def people_of_json(path: Path, images: Path) -> People:
    """Read the people of a JSON list of {image, center, scale, joints, joints_vis}.

    `joints_vis` is 1 if a joint is annotated, even if it is not visible. A person's id is their
    number in the list, from 1; an image's id is that of its first person.

    Raises:
        InputError: the file is not such a list.
    """
    entries = read_json(path)
    wanted = ("image", "center", "scale", "joints", "joints_vis")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} is not an MPII list: it must contain a list of objects.")
    if entries and not any(all(key in entry for key in wanted) for entry in entries):
        raise InputError(
            f"{path} is not an MPII list: its objects lack "
            f"{', '.join(key for key in wanted if key not in entries[0])}."
        )
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    first_of: dict[str, int] = {}
    real_folder = images.resolve()
    for number, entry in enumerate(entries, start=1):
        who = f"person {number} in {entry.get('image')}"
        try:
            name = str(entry["image"])
            points = np.array(entry["joints"], np.float64)
            labelled = np.array(entry["joints_vis"], np.float64)
            center = np.array(entry["center"], np.float64).reshape(2)
            scale = float(entry["scale"])
        except (KeyError, TypeError, ValueError, OverflowError):
            skips.append(Skip(NOT_NUMBERS, who))
            continue
        if not is_inside(images / name, real_folder):
            skips.append(Skip(OUTSIDE, who))
            continue
        if points.shape != (16, 2) or labelled.shape != (16,):
            skips.append(Skip(WRONG_LENGTH, who))
            continue
        if scale <= 0:  # how the list marks a person without centre and scale
            skips.append(Skip(NO_CENTRE, who, fault=False))
            continue
        image_id = first_of.setdefault(name, number)
        box = box_of_scale(center, scale)
        visible = np.where(labelled > 0, 2, 0)
        person = InstanceAnnotation(number, points - 1, visible, box, clip=False)
        people.append((ImageAnnotation(images / name, name, image_id, (), 0), person))
    return list(by_image(people)), skips


def people_of_mat(path: Path, images: Path) -> People:
    """Read the annotated people of the official file, from its structure `RELEASE`.

    Raises:
        InputError: the file is not MPII's.
    """
    release = read_mat(path, "RELEASE")
    if not hasattr(release, "annolist"):
        raise InputError(f"{path} is not MPII's file: RELEASE has no field `annolist`.")
    try:
        return _people_of(release, images)
    except InputError:
        raise
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not MPII's file: {error}.") from error


def _people_of(release: Any, images: Path) -> People:
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    real_folder = images.resolve()
    for number, entry in enumerate(_structs(release.annolist), start=1):
        name = str(entry.image.name)
        outside = not is_inside(images / name, real_folder)
        image = ImageAnnotation(images / name, name, number, (), 0)
        for place, rect in enumerate(_structs(getattr(entry, "annorect", [])), start=1):
            who = f"person {place} in {name}"
            if not list(_structs(getattr(rect, "annopoints", []))):
                # Test people, and people of training images without annotations.
                skips.append(Skip(NO_KEYPOINTS, who, fault=False))
                continue
            if outside:
                skips.append(Skip(OUTSIDE, who))
                continue
            scale, objpos = getattr(rect, "scale", []), getattr(rect, "objpos", [])
            if np.size(scale) != 1 or not hasattr(objpos, "x"):
                skips.append(Skip(NO_CENTRE, who, fault=False))
                continue
            points, visible = _joints(rect.annopoints)
            person = InstanceAnnotation(
                annotation_id=number * PEOPLE_PER_PHOTO + place,
                keypoints=points,
                visible=visible,
                box_xywh=box_of_scale(np.array([objpos.x, objpos.y], np.float64), float(scale)),
                clip=False,
                head_xyxy=_head(rect),
            )
            people.append((image, person))
    return list(by_image(people)), skips


def box_of_scale(center: np.ndarray, scale: float) -> np.ndarray:
    """Box `[4]` (xywh, first pixel 0) of a centre `[2]` (first pixel 1) and a scale."""
    size = PIXELS_PER_SCALE * scale
    middle = center - 1 + np.array([0.0, DOWN_PER_SCALE * scale])
    return np.concatenate([middle - size / 2, [size, size]])


def _structs(value: Any) -> Iterator[Any]:
    """Yield the structs of a MATLAB struct array, of a single struct, or of an empty value."""
    if hasattr(value, "_fieldnames"):
        yield value
    else:
        yield from (one for one in np.ravel(value) if hasattr(one, "_fieldnames"))


def _joints(annopoints: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions `[16, 2]` and flags `[16]`; head top and upper neck have no flag: visible."""
    points, visible = np.zeros((16, 2)), np.zeros(16, int)
    for point in _structs(annopoints.point):
        number = int(point.id)
        points[number] = float(point.x) - 1, float(point.y) - 1
        flag = np.ravel(getattr(point, "is_visible", []))
        visible[number] = 1 if flag.size and int(flag[0]) == 0 else 2
    return points, visible


def _head(rect: Any) -> np.ndarray | None:
    corners = [np.ravel(getattr(rect, key, [])) for key in ("x1", "y1", "x2", "y2")]
    if any(corner.size != 1 for corner in corners):
        return None
    return np.concatenate(corners).astype(np.float64) - 1
