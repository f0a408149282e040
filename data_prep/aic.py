"""Preparation of the keypoints of AI Challenger from its own file as jaxpose records.

    jaxpose prepare aic --annotations keypoint_train_annotations_20170902.json \
        --images keypoint_train_images_20170902 --out data/aic

The file is a list of images, each with a box of two corners and 14 keypoints for each of its
people, who have names such as `human1`. A keypoint's flag is 1 if it is visible, 2 if it is hidden,
3 if it is not labelled. Images have no numbers: their id is their place in the list, from 1, and a
person's id 1,000 times that, plus their place among the image's people.

MMPose's conversion of this file is read by `jaxpose prepare coco --dataset aic`.

Wu et al., AI Challenger: A Large-scale Dataset for Going Deeper in Image Understanding, 2017.
"""

from pathlib import Path
from typing import Annotated, Any

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
from jaxpose.data.coco_json import NO_BOX, NOT_NUMBERS, OUTSIDE, WRONG_LENGTH, read_json
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.paths import is_inside
from jaxpose.skeletons import AIC14

PEOPLE_PER_IMAGE = 1000
_FLAGS = {1: 2, 2: 1, 3: 0}
"""Flags of the file, and the same in COCO's sense."""


def prepare(
    annotations: Annotated[Path, typer.Option(help="JSON list of AI Challenger's keypoints.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x288",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare the keypoints of AI Challenger."""
    from jaxpose.data.builder import write_dataset

    check_folder(images)
    annotated, skipped = people(annotations, images)
    return write_dataset(
        out,
        name="aic",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=AIC14,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def people(path: Path, images: Path) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the people of all images.

    Raises:
        InputError: the file is not such a list.
    """
    entries = read_json(path)
    wanted = ("image_id", "keypoint_annotations", "human_annotations")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} is no list of AI Challenger: it must contain a list of objects.")
    if not any(all(key in entry for key in wanted) for entry in entries):
        raise InputError(
            f"{path} is no list of AI Challenger: none of its objects has {', '.join(wanted)}."
        )
    real_folder = images.resolve()
    found: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    skips: list[Skip] = []
    for number, entry in enumerate(entries, start=1):
        name = f"{entry.get('image_id')}.jpg"
        keypoints, boxes = entry.get("keypoint_annotations"), entry.get("human_annotations")
        if not isinstance(keypoints, dict) or not isinstance(boxes, dict):
            skips.append(Skip(NOT_NUMBERS, f"image {number}, {name}"))
            continue
        image = ImageAnnotation(images / name, name, number, (), 0)
        inside = is_inside(image.path, real_folder)
        for place, human in enumerate(keypoints, start=1):
            who = f"{human} in {name}"
            if not inside:
                skips.append(Skip(OUTSIDE, who))
                continue
            person = _person(keypoints[human], boxes.get(human), number * PEOPLE_PER_IMAGE + place)
            if isinstance(person, str):
                skips.append(Skip(person, who))
            else:
                found.append((image, person))
    return list(by_image(found)), skips


def _person(keypoints: Any, corners: Any, number: int) -> InstanceAnnotation | str:
    """The person, or the reason why they cannot be used."""
    if corners is None:
        return NO_BOX
    try:
        table, box = np.array(keypoints, np.float64), np.array(corners, np.float64)
    except (TypeError, ValueError, OverflowError):
        return NOT_NUMBERS
    if table.size != 3 * AIC14.num_keypoints or box.size != 4:
        return WRONG_LENGTH
    table, box = table.reshape(-1, 3), box.reshape(4)
    return InstanceAnnotation(
        annotation_id=number,
        keypoints=table[:, :2],
        visible=np.array([_FLAGS.get(flag, -1) for flag in table[:, 2]]),
        box_xywh=np.concatenate([box[:2], box[2:] - box[:2]]),
    )
