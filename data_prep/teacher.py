"""Preparation of a teacher's predictions on images as COCO-17 records.

A detector finds the people of each image and a pose model, the teacher, predicts their keypoints.
Keypoints with a low score are not labelled. Any images can be used:

    jaxpose prepare teacher --images images --teacher tinypose --detector rtmdet-nano-person \
        --out data/labelled

Leeds Sports Pose and its extended set have people with 14 annotated joints. With --lsp and --lspet
the teacher adds the keypoints of the face, and the two agree on the others: where they differ, the
joints of LSP count, and those of LSP-Extended, whose annotation is less accurate, only where the
teacher is not certain. A person who is not upright is turned until the torso is, because teachers
are trained on people who stand; the prediction is turned back. The last 1,000 people of LSP, which
are its test set, are left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose import geometry
from jaxpose.data.canvas import (
    IMAGE_UNREADABLE,
    Canvas,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    by_image,
)
from jaxpose.data.script_options import Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.media.sources import open_media
from jaxpose.media.video import VIDEO_SUFFIXES
from jaxpose.skeletons import COCO17, LSP14
from jaxpose.skeletons.mapping import shared_keypoints

AGREE = 0.1
"""Largest distance between a joint and its prediction, relative to the root of the box's area."""

LEAST, UNSURE, CERTAIN = 0.35, 0.4, 0.6
"""Scores: of a keypoint that is labelled, of one that may replace a joint, of a certain one."""

UPRIGHT = 25.0
"""Tilt of the torso in degrees up to which a person counts as upright."""

UNCERTAIN = "too few keypoints of which the teacher is certain"

CHUNK = 64


@dataclass(frozen=True)
class Target:
    """Person to predict.

    Attributes:
      path: the image.
      joints: the annotated person; None for a person whom only the detector found.
      accurate: whether the joints count where the teacher differs.
      box_xywh: `[4]` box of the person in the image.
    """

    path: Path
    joints: InstanceAnnotation | None
    accurate: bool
    box_xywh: np.ndarray


def prepare(
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    teacher: Annotated[str, typer.Option(help="Pose model with COCO-17 keypoints: name or path.")],
    detector: Annotated[str, typer.Option(help="Person detector: name or path.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of images without annotations.")
    ] = None,
    lsp: Annotated[
        Path | None, typer.Option(help="Folder of LSP, with joints.mat and images/.")
    ] = None,
    lspet: Annotated[
        Path | None, typer.Option(help="Folder of LSP-Extended, with joints.mat and images/.")
    ] = None,
    least_side: Annotated[
        int, typer.Option(min=1, help="Longer side, in pixels, of the smallest person to label.")
    ] = 80,
    least_score: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of a detected person to label.")
    ] = 0.45,
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x288",
    processes: Processes = None,
    overwrite: Overwrite = False,
) -> Summary:
    """Prepare a teacher's predictions on images as a dataset."""
    from jaxpose.data.builder import write_dataset
    from jaxpose.hub.load import load_detector, load_pose

    listed, others = _listed(images)
    annotated = {**_lsp(lsp, lspet), **dict.fromkeys(listed)}
    if not annotated:
        raise InputError("There are no images: give --images, --lsp or --lspet.")
    trained = load_pose(teacher)
    if trained.skeleton.keypoints != COCO17.keypoints:
        raise InputError(
            f"The teacher {teacher} has the skeleton {trained.skeleton.name!r}; this command needs "
            "one with the keypoints of coco17."
        )
    ids = {path: number for number, path in enumerate(annotated, start=1)}
    find = load_detector(detector, batch_size=8)
    predictor = trained.predictor(batch_size=16)
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    for start in range(0, len(annotated), CHUNK):
        part = dict(list(annotated.items())[start : start + CHUNK])
        images_of = _readable(part, skips)
        for path, person in _labelled(part, images_of, find, predictor, least_side, least_score):
            if person is None:
                skips.append(Skip(UNCERTAIN, f"a person in {_name(path)}", fault=False))
                continue
            image = ImageAnnotation(path, _name(path), ids[path], (), first_key=0)
            people.append((image, replace(person, annotation_id=len(people) + 1)))
    return write_dataset(
        out,
        name="teacher",
        splits={"train": list(by_image(people))},
        skipped={"train": skips},
        skeleton=COCO17,
        canvas=Canvas.parse(canvas),
        sources={},
        processes=processes,
        overwrite=overwrite,
        upright=True,
        notes=[
            f"{len(people)} people in {len(annotated)} images, labelled by {teacher}",
            *others,
        ],
    )


def _listed(images: Path | None) -> tuple[list[Path], list[str]]:
    """Images of a folder, detected by content, and a note on its other files."""
    if images is None:
        return [], []
    if not images.is_dir():
        raise InputError(f"--images {images} is not a folder.")
    media = open_media(images)
    found = sorted(path for path in media.paths if path.suffix.lower() not in VIDEO_SUFFIXES)
    others = sorted({*media.paths, *media.other_files}.difference(found))
    names = ", ".join(path.name for path in others[:3]) + (", ..." if len(others) > 3 else "")
    note = f"files in {images.name} that are no images, left out: {len(others):,} ({names})"
    return found, [note] if others else []


def _lsp(lsp: Path | None, lspet: Path | None) -> dict[Path, tuple[InstanceAnnotation, bool]]:
    """Paths of the images of both sets with their person, and True for LSP's accurate joints."""
    from jaxpose.config.scripts import find_script, load_script

    script = load_script(find_script("lsp", "data_prep"))
    found: dict[Path, tuple[InstanceAnnotation, bool]] = {}
    if lsp is not None:
        for person in script.lsp_people(lsp / "joints.mat")[: script.LSP_TRAIN]:
            path = lsp / "images" / f"im{person.annotation_id:04d}.jpg"
            found[path] = (person, True)
    if lspet is not None:
        for person in script.lspet_people(lspet / "joints.mat"):
            path = lspet / "images" / f"im{person.annotation_id - script.LSPET_FIRST_ID:05d}.jpg"
            found[path] = (person, False)
    return found


def _readable(paths: Iterable[Path], skips: list[Skip]) -> dict[Path, np.ndarray]:
    """Images by path; those that cannot be read are entered in `skips`."""
    from jaxpose.media.image import read_image

    images = {}
    for path in paths:
        try:
            images[path] = read_image(path)
        except InputError as error:
            skips.append(Skip(IMAGE_UNREADABLE, str(error)))
    return images


def _labelled(
    annotated: dict[Path, tuple[InstanceAnnotation, bool] | None],
    images: dict[Path, np.ndarray],
    find,
    predictor,
    least_side: int,
    least_score: float,
) -> Iterator[tuple[Path, InstanceAnnotation | None]]:
    """Yield the people of several images, each with the path; None for an uncertain one."""
    targets = []
    if not images:
        return
    for path, found in zip(images, find(list(images.values())), strict=True):
        known = annotated[path]
        boxes = found.boxes_xywh[
            (found.scores >= least_score) & (found.boxes_xywh[:, 2:].max(axis=1) >= least_side)
        ].astype(np.float64)
        if known is not None:
            box, boxes = _main_box(known[0].box_xywh, boxes)
            targets.append(Target(path, *known, box))
        targets += [Target(path, None, False, box) for box in boxes]
    turned = [_turned(images[target.path], target) for target in targets]
    predicted = predictor.stream((image, box[None]) for image, box, _ in turned)
    for target, (_, _, back), people in zip(targets, turned, predicted, strict=True):
        if not len(people.keypoints):
            yield target.path, None
            continue
        keypoints = geometry.apply_affine(back, np.asarray(people.keypoints[0], np.float64))
        yield target.path, _annotation(target, keypoints, np.asarray(people.scores[0]))


def _name(path: Path) -> str:
    """Name of an image in the dataset: its file and up to two folders above it."""
    return "/".join(path.parts[-3:])


def _main_box(joints_xywh: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Box of an annotated person and the other boxes: the detected one, or that of the joints."""
    if not len(boxes):
        return joints_xywh, boxes
    overlap = _overlaps(joints_xywh, boxes)
    best = int(overlap.argmax())
    if overlap[best] < 0.5:
        return joints_xywh, boxes
    return boxes[best], np.delete(boxes, best, axis=0)


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union `[P]` of a box `[4]` with boxes `[P, 4]`, all (x, y, w, h)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    return common / np.maximum(box[2:].prod() + boxes[:, 2:].prod(axis=1) - common, 1e-9)


def _turned(image: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, box and the map `[2, 3]` back to the image's pixels, with the torso upright."""
    tilt = _tilt(target.joints)
    if target.joints is None or abs(tilt) <= UPRIGHT:
        return image, target.box_xywh, np.eye(2, 3)
    joints = target.joints.keypoints[target.joints.visible > 0].astype(np.float64)
    turn = geometry.crop_matrix(np.zeros(2), np.ones(2), (1, 1), tilt)
    places = geometry.apply_affine(turn, joints)
    low, high = places.min(axis=0), places.max(axis=0)
    middle = (low + high)[None] / 2
    center = geometry.apply_affine(geometry.invert_affine(turn), middle)[0]
    size = 1.2 * (high - low)
    side = int(2 * size.max()) + 1
    matrix = geometry.crop_matrix(center, np.full(2, float(side)), (side, side), tilt)
    box = np.concatenate([(side - size) / 2, size])
    crop = geometry.crop_image(image, matrix, (side, side))
    return crop, box, geometry.invert_affine(matrix)


def _tilt(person: InstanceAnnotation | None) -> float:
    """Angle in degrees, clockwise, between the torso and the vertical; 0 if it is not known."""
    torso = [
        [LSP14.keypoints.index(f"{side}_{name}") for side in ("left", "right")]
        for name in ("shoulder", "hip")
    ]
    if person is None or not (person.visible[np.ravel(torso)] > 0).all():
        return 0.0
    shoulders, hips = (person.keypoints[rows].mean(axis=0) for rows in torso)
    x, y = shoulders - hips
    return float(np.rad2deg(np.arctan2(x, -y)))


def _annotation(
    target: Target, keypoints: np.ndarray, scores: np.ndarray
) -> InstanceAnnotation | None:
    """Labelled person, or None if too few keypoints are certain."""
    labelled = scores >= LEAST
    box = target.box_xywh
    reach = AGREE * np.sqrt(box[2] * box[3])
    if target.joints is not None:
        keypoints, labelled = merged(keypoints, scores, target.joints, reach, target.accurate)
    elif scores.mean() < LEAST:
        return None
    if labelled.sum() < 6:
        return None
    if target.joints is not None:
        box = _around(keypoints[labelled], box, reach)
    visible = np.where(labelled, 2, 0)
    return InstanceAnnotation(0, keypoints, visible, box)


def merged(
    keypoints: np.ndarray,
    scores: np.ndarray,
    joints: InstanceAnnotation,
    reach: float,
    accurate: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Combine a prediction `[17, 2]` with scores `[17]` and the 14 joints of LSP.

    Within `reach` pixels of the joint, the prediction is taken. Otherwise an accurate joint is
    taken, and of an inaccurate one: the prediction if it lies at the joint of the other side, no
    label if the prediction is certain, and else the joint.

    Returns:
      Keypoints `[17, 2]`, and `[17]`, True where they are labelled.
    """
    rows = shared_keypoints(LSP14, COCO17)
    known = (rows >= 0) & (joints.visible[rows] > 0)
    places = joints.keypoints[rows]
    mirror = np.asarray(COCO17.flip_permutation)
    far = np.linalg.norm(keypoints - places, axis=-1) > reach
    swapped = known[mirror] & (np.linalg.norm(keypoints - places[mirror], axis=-1) <= reach)
    # Without a joint of its own, a keypoint of the body needs a better score than one of the face.
    labelled = scores >= np.where(rows >= 0, UNSURE, LEAST)
    agrees = known & ~far & (scores >= LEAST)
    take = known & ~agrees
    if not accurate:
        take &= ~(swapped & (scores >= UNSURE))
        dropped = take & (scores >= CERTAIN)
        take &= ~dropped
        labelled &= ~dropped
    return np.where(take[:, None], places, keypoints), labelled | agrees | take


def _around(points: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    """The box, or the enlarged extent of the points if the box leaves out a tenth of them."""
    low, high = box[:2] - margin / 2, box[:2] + box[2:] + margin / 2
    if ((points >= low) & (points <= high)).all(axis=1).mean() >= 0.9:
        return box
    low, high = points.min(axis=0), points.max(axis=0)
    grow = 0.1 * (high - low).max()
    return np.concatenate([low - grow, high - low + 2 * grow])
