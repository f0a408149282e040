"""COCO's keypoint annotations in the form of other tools' labels."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.coco_json import read_json, read_people
from jaxpose.errors import InputError
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.labels.skeleton import coco_skeleton

NAME = "coco"


def coco_file(path: Path) -> Path | None:
    """File of COCO annotations: `path`, or the only JSON file of a folder; None if it is none."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if len(files) != 1 or files[0].suffix.lower() != ".json":
        return None
    return files[0] if is_coco(read_json(files[0])) else None


def is_coco(content: Any) -> bool:
    """True if the content of a JSON file is COCO's."""
    return isinstance(content, dict) and "annotations" in content and "images" in content


def read_coco(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read the annotations of the one skeleton of a file.

    Args:
      path: the JSON file.
      images: folder of the images; if None, the folder `images` beside the file, or the file's.
      outside: also read images outside the folder.

    Raises:
      InputError: the file is not COCO's, has several skeletons, or no people.
    """
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    skeleton = coco_skeleton(path, "labels")
    people, skips, notes = read_people(path, folder, skeleton, outside=outside)
    found = []
    for image in people:
        instances = tuple(
            Instance(
                np.where(one.visible[:, None] > 0, one.keypoints, np.nan).astype(np.float64),
                np.asarray(one.visible, int),
                f"{path}, annotation {one.annotation_id}",
                box_xywh=np.asarray(one.box_xywh, np.float64),
            )
            for one in image.people
        )
        found.append(LabelledImage(image.path, image.name, instances, image.image_hw))
    if not found:
        reasons = ", ".join(sorted({skip.reason for skip in skips}))
        raise InputError(f"{path} has no people to read: {reasons or 'it is empty'}.")
    return Labels(
        *(NAME, path, skeleton.keypoints, tuple(found), skeleton.limbs, skeleton.pairs),
        skips=tuple(skips),
        notes=tuple(notes),
        files=(path,),
    )
