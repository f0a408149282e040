"""Preparation of InterHand2.6M as jaxpose records: two hands with 42 keypoints.

    jaxpose prepare interhand --data InterHand2.6M_train_data.json \
        --cameras InterHand2.6M_train_camera.json --joints InterHand2.6M_train_joint_3d.json \
        --images images/train --out data/interhand

The dataset has joints in millimetres of its world for each frame, and cameras with position,
rotation, focal lengths and principal point; keypoints are joints projected without distortion. A
joint is labelled, and then stored as visible, if `joint_valid` of the annotation says so: an image
of one hand labels that hand alone. With `--layout images` records also have the joints in
millimetres of the camera's frame.

Moon et al., InterHand2.6M: A Dataset and Baseline for 3D Interacting Hand Pose Estimation from a
Single RGB Image, ECCV 2020.
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
)
from jaxpose.data.coco_json import (
    BAD_ID,
    ID_TWICE,
    NOT_NUMBERS,
    OUTSIDE,
    WRONG_LENGTH,
    is_id,
    read_json,
)
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.paths import is_inside
from jaxpose.skeletons import INTERHAND42

NO_CAMERA = "camera not in the file of cameras"
NO_JOINTS = "frame not in the file of joints"
BEHIND = "joint behind the camera"


def prepare(
    data: Annotated[Path, typer.Option(help="File of images and annotations, ..._data.json.")],
    cameras: Annotated[Path, typer.Option(help="File of cameras, ..._camera.json.")],
    joints: Annotated[Path, typer.Option(help="File of joints, ..._joint_3d.json.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    layout: Annotated[
        Literal["people", "images"],
        typer.Option(
            help="Content of a record: a crop of the hands, or a whole image with its hands in "
            "pixels and in 3D."
        ),
    ] = "people",
    canvas: Annotated[
        str | None,
        typer.Option(
            help="Size of stored images, HEIGHTxWIDTH. Default: 384x384 for --layout people, "
            "512x384 for --layout images."
        ),
    ] = None,
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare InterHand2.6M."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = hands(data, cameras, joints, images)
    return write_dataset(
        out,
        name="interhand",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=INTERHAND42,
        canvas=Canvas.parse(canvas or ("512x384" if layout == "images" else "384x384")),
        sources={"data": data, "cameras": cameras, "joints": joints},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
        layout=layout,
    )


def hands(
    data: Path, cameras: Path, joints: Path, images: Path
) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the hands of all images; both hands of an image are one instance.

    Raises:
        InputError: a file is not one of InterHand2.6M's.
    """
    content = _object(data, "images", "annotations")
    views, frames = _object(cameras), _object(joints)
    entries = _entries(data, content, "images")
    listed = {entry["id"]: entry for entry in entries if is_id(entry.get("id"))}
    real_folder = images.resolve()
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    seen: set[int] = set()
    for entry in _entries(data, content, "annotations"):
        who = f"annotation {entry.get('id')} of image {entry.get('image_id')}"
        try:
            image = listed[entry["image_id"]]
            name, number, image_id = str(image["file_name"]), entry["id"], image["id"]
            path = images / name
            if not is_id(number):
                raise _Unusable(BAD_ID)
            if number in seen:
                raise _Unusable(ID_TWICE)
            seen.add(number)
            if not is_inside(path, real_folder):
                raise _Unusable(OUTSIDE)
            person = _hands(entry, number, image, views, frames)
            size = int(image["height"]), int(image["width"])
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), who))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            skips.append(Skip(NOT_NUMBERS, who))
        else:
            people.append((ImageAnnotation(path, name, image_id, (), 0, size), person))
    return list(by_image(people)), skips


class _Unusable(Exception):
    """Error with the reason why an annotation is skipped."""


def _hands(
    entry: dict[str, Any],
    number: int,
    image: dict[str, Any],
    views: dict[str, Any],
    frames: dict[str, Any],
) -> InstanceAnnotation:
    valid = np.array(entry["joint_valid"], np.float64).reshape(-1) > 0
    box = np.array(entry["bbox"], np.float64).reshape(4)
    in_camera = _in_camera(image, views, frames)
    if len(valid) != INTERHAND42.num_keypoints:
        raise _Unusable(WRONG_LENGTH)
    capture, camera = str(image["capture"]), str(image["camera"])
    focal, center = (
        np.array(views[capture][key][camera], np.float64).reshape(2) for key in ("focal", "princpt")
    )
    depth = in_camera[:, 2:]
    if (depth[valid] <= 0).any():
        raise _Unusable(BEHIND)
    # Joints that are not labelled may have any position; they are not divided.
    pixels = np.where(valid[:, None], in_camera[:, :2], 0) / np.where(valid[:, None], depth, 1)
    return InstanceAnnotation(
        annotation_id=number,
        keypoints=pixels * focal + center,
        visible=np.where(valid, 2, 0),
        box_xywh=box,
        keypoints_3d=np.where(valid[:, None], in_camera, np.nan),
    )


def _in_camera(image: dict[str, Any], views: dict[str, Any], frames: dict[str, Any]) -> np.ndarray:
    """Joints `[42, 3]` of an image in millimetres of its camera's frame."""
    capture, camera = str(image["capture"]), str(image["camera"])
    view = views.get(capture)
    if view is None or camera not in view["campos"]:
        raise _Unusable(NO_CAMERA)
    frame = frames.get(capture, {}).get(str(image["frame_idx"]))
    if frame is None:
        raise _Unusable(NO_JOINTS)
    world = np.array(frame["world_coord"], np.float64)
    if world.shape != (INTERHAND42.num_keypoints, 3):
        raise _Unusable(WRONG_LENGTH)
    rotation = np.array(view["camrot"][camera], np.float64).reshape(3, 3)
    return (world - np.array(view["campos"][camera], np.float64).reshape(3)) @ rotation.T


def _object(path: Path, *keys: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or any(key not in content for key in keys):
        wanted = " with " + " and ".join(repr(key) for key in keys) if keys else ""
        raise InputError(f"{path} is not a file of InterHand2.6M: it must be an object{wanted}.")
    return content


def _entries(path: Path, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content[key]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: {key!r} is not a list of objects.")
    return entries
