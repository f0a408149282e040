"""Preparation of 3DPW from its own files as jaxpose records: people in 2D and 3D.

    jaxpose prepare 3dpw --sequences sequenceFiles/train --images imageFiles --out data/3dpw
    jaxpose prepare 3dpw --sequences sequenceFiles/test --images imageFiles --split test \
        --layout images --out data/3dpw_test

A file `SEQUENCE.pkl` is a pickle of Python 2, which is read without running code of it. For each of
one or two people it has `jointPositions` `[N, 72]`, the 24 joints of SMPL in metres of the world,
`poses2d` `[N, 3, 18]`, detections of OpenPose (x, y, score), and `campose_valid` `[N]`; for the
camera `cam_intrinsics` `[3, 3]` and `cam_poses` `[N, 4, 4]`, from the world to the camera, metres.
Frame n is the image `SEQUENCE/image_0000n.jpg`. Pixels count from 0, without lens distortion.

With `--keypoints smpl` the keypoints are the joints projected by the camera, all stored as visible,
in the skeleton `smpl24`; with `--layout images` records also have them in millimetres of the
camera's frame. Frames whose camera is not aligned to the image are left out. With `--keypoints
openpose` they are the detections with a score above 0, in the skeleton `openpose18`.

A person's box is the extent of the keypoints, enlarged by a fifth, as is usual for this dataset.
Images are numbered from 0 over all frames of all sequences in order of their names; the id of a
person is ten times that number, plus the person's place.

von Marcard et al., "Recovering Accurate 3D Human Pose in The Wild Using IMUs and a Moving Camera",
ECCV 2018; the layout is in the dataset's `readme_and_demo`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

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
from jaxpose.data.coco_json import NOT_NUMBERS
from jaxpose.data.pickles import read_pickle
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.skeletons import OPENPOSE18, SMPL24, Skeleton

NOT_ALIGNED = "frame whose camera is not aligned to the image"
BEHIND = "joint behind the camera"
ENLARGEMENT = 1.2
PEOPLE_PER_IMAGE = 10
"""Factor of ids: person m of image n has the id n times this, plus m."""

SKELETONS: dict[str, Skeleton] = {"smpl": SMPL24, "openpose": OPENPOSE18}


def prepare(
    sequences: Annotated[
        Path, typer.Option(help="Folder of .pkl files, such as sequenceFiles/train, or one file.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images, imageFiles.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    keypoints: Annotated[
        Literal["smpl", "openpose"],
        typer.Option(help="Keypoints: the joints of SMPL, projected, or OpenPose's detections."),
    ] = "smpl",
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of a person, or a whole image with its people in "
            "pixels and in 3D."
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
    """Prepare 3DPW."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = people(sequences, images, keypoints)
    return write_dataset(
        out,
        name="3dpw",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=SKELETONS[keypoints],
        canvas=Canvas.parse(canvas or ("640x640" if layout == "images" else "384x288")),
        sources={file.name: file for file in _files(sequences)},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def people(
    sequences: Path, images: Path, keypoints: str = "smpl"
) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the people of all sequences.

    Raises:
        InputError: there is no sequence, or a file is none of 3DPW's.
    """
    found: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    first = 0
    for path in _files(sequences):
        sequence = _sequence(path)
        frames = len(sequence["cam_poses"])
        for frame in range(frames):
            name = f"{path.stem}/image_{frame:05d}.jpg"
            image = ImageAnnotation(images / name, name, first + frame, (), 0)
            for place in range(len(sequence["jointPositions"])):
                number = PEOPLE_PER_IMAGE * (first + frame) + place
                read = _joints if keypoints == "smpl" else _detections
                fault, person = read(sequence, place, frame, number)
                if person is None:
                    fine = fault in (NOT_ALIGNED, NO_KEYPOINTS)
                    skips.append(Skip(fault, f"person {place + 1} in {name}", fault=not fine))
                else:
                    found.append((image, person))
        first += frames
    return list(by_image(found)), skips


def _files(sequences: Path) -> list[Path]:
    if sequences.is_file():
        return [sequences]
    check_folder(sequences)
    files = sorted(sequences.glob("*.pkl"))
    if not files:
        raise InputError(f"{sequences} has no .pkl file: give the folder of one part of 3DPW.")
    return files


def _sequence(path: Path) -> dict[str, Any]:
    """Arrays of a file: those of the camera, and a list for each array of the people."""
    content = read_pickle(path)
    wanted: dict[str, tuple[int | None, ...]] = {
        "cam_intrinsics": (3, 3),
        "cam_poses": (None, 4, 4),
        "jointPositions": (None, 3 * SMPL24.num_keypoints),
        "poses2d": (None, 3, OPENPOSE18.num_keypoints),
        "campose_valid": (None,),
    }
    if not isinstance(content, dict) or (absent := [key for key in wanted if key not in content]):
        what = ", ".join(absent) if isinstance(content, dict) else "all fields"
        raise InputError(f"{path} is no file of 3DPW: it lacks {what}.")
    sequence: dict[str, Any] = {}
    for name, shape in wanted.items():
        of_camera = name.startswith("cam_")
        parts = [content[name]] if of_camera else content[name]
        try:
            arrays = [np.array(part, np.float64) for part in parts]
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: {name} has values that are not numbers.") from error
        sequence[name] = arrays[0] if of_camera else arrays
        frames = sequence["cam_poses"].shape[:1] if name != "cam_intrinsics" else ()
        if any(x.shape != (*frames, *(n for n in shape if n is not None)) for x in arrays):
            shapes = ", ".join(str(list(x.shape)) for x in arrays[:3])
            raise InputError(
                f"{path}: {name} has the shape {shapes}; it must be "
                f"{[*frames, *(n for n in shape if n is not None)]}, as there are camera poses."
            )
    people = {name: len(sequence[name]) for name in ("jointPositions", "poses2d", "campose_valid")}
    if len({*people.values()}) > 1 or not 0 < people["poses2d"] <= PEOPLE_PER_IMAGE:
        stated = ", ".join(f"{count} in {name}" for name, count in people.items())
        raise InputError(
            f"{path}: the number of people must be the same, 1 to {PEOPLE_PER_IMAGE}: {stated}."
        )
    return sequence


def _joints(
    sequence: dict[str, Any], place: int, frame: int, number: int
) -> tuple[str, InstanceAnnotation | None]:
    """Fault, or the person with the joints of SMPL, in pixels and in millimetres of the camera."""
    if not sequence["campose_valid"][place][frame] > 0:
        return NOT_ALIGNED, None
    pose = sequence["cam_poses"][frame]
    joints = sequence["jointPositions"][place][frame].reshape(-1, 3)
    joints = joints @ pose[:3, :3].T + pose[:3, 3]
    with np.errstate(all="ignore"):
        pixels = joints @ sequence["cam_intrinsics"].T
        points = pixels[:, :2] / pixels[:, 2:]
    if not (np.isfinite(points).all() and np.isfinite(joints).all()):
        return NOT_NUMBERS, None
    if (joints[:, 2] <= 0).any():
        return BEHIND, None
    visible = np.full(len(points), 2)
    box = _box(points)
    return "", InstanceAnnotation(number, points, visible, box, keypoints_3d=joints * 1000)


def _detections(
    sequence: dict[str, Any], place: int, frame: int, number: int
) -> tuple[str, InstanceAnnotation | None]:
    """Fault, or the person with the detections of OpenPose."""
    table = sequence["poses2d"][place][frame].T
    labelled = table[:, 2] > 0
    if not labelled.any():
        return NO_KEYPOINTS, None
    if not np.isfinite(table[labelled]).all():
        return NOT_NUMBERS, None
    points = np.where(labelled[:, None], table[:, :2], 0)
    box = _box(points[labelled])
    return "", InstanceAnnotation(number, points, np.where(labelled, 2, 0), box)


def _box(points: np.ndarray) -> np.ndarray:
    low, high = points.min(axis=0), points.max(axis=0)
    size = (high - low) * ENLARGEMENT
    return np.concatenate([(low + high - size) / 2, size])
