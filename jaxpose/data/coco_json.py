"""Reading of COCO keypoint annotations: https://cocodataset.org/#format-data, section 2.

A bad annotation is skipped and counted. A file that is not COCO, or has another skeleton, is an
error.
"""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from jaxpose.data.canvas import ImageAnnotation, InstanceAnnotation, Skip, by_photo
from jaxpose.errors import InputError, nearest
from jaxpose.media.image import missing
from jaxpose.skeletons import Skeleton

CROWD = "crowd"
WRONG_LENGTH = "keypoints of the wrong length"
NOT_NUMBERS = "keypoints, box or area that are not numbers"
ID_TWICE = "annotation id used twice"
PHOTO_ID_TWICE = "image id used twice"
NO_PHOTO_ENTRY = "image not listed in the file"
NO_CATEGORY_KEYPOINTS = "category without keypoints"
BAD_ID = "id is not a whole number"


def read_json(path: str | Path) -> Any:
    """Read the content of a JSON file.

    Raises:
        InputError: the file is missing or is not JSON; the message has the line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        return json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file, so it is not JSON.") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from error


def read_people(
    path: str | Path,
    images: str | Path,
    skeleton: Skeleton,
    *,
    whole_images: bool = False,
    empty: bool = False,
) -> tuple[list[ImageAnnotation], list[Skip], list[str]]:
    """Read images with their people, the people left out, and remarks on the file.

    Args:
      path: the annotation file.
      images: the folder to which the file's `file_name` entries are relative.
      skeleton: skeleton of the keypoints; must agree with the file's categories.
      whole_images: also read crowd regions and segmentations, which whole images need.
      empty: with `whole_images`, also read images without people.

    Raises:
      InputError: the file is not COCO keypoint JSON or has another skeleton, or the folder does not
        exist.
    """
    path, images = Path(path), Path(images)
    content = read_json(path)
    _check_shape(path, content)
    if not images.is_dir():
        raise InputError(f"{missing(images) if not images.exists() else f'{images} is a file'}.")
    categories, notes = _categories(path, content["categories"], skeleton)
    listed, twice = _images(content["images"], images)
    skips: list[Skip] = []
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    seen: set[int] = set()
    for place, entry in enumerate(content["annotations"]):
        who = _who(entry, place, listed)
        photo = None
        try:
            photo, person = _person(entry, listed, twice, categories, seen, skeleton, whole_images)
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), who))
        else:
            people.append((photo, person))
    _check_lengths(path, content["annotations"], skips, people, skeleton)
    grouped = list(by_photo(people))
    if whole_images and empty:
        grouped += _without_people(grouped, listed, twice)
    return grouped, skips, notes


class _Unusable(Exception):
    """Error with the reason why an annotation is skipped."""


def _check_shape(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise InputError(
            f"{path} is not COCO JSON: it contains a {_kind(content)}, but COCO has an object with "
            "'images', 'annotations' and 'categories'."
        )
    for key in ("images", "annotations", "categories"):
        if key not in content:
            raise InputError(f"{path} is not COCO JSON: it has no {key!r}.{nearest(key, content)}")
        value = content[key]
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise InputError(f"{path} is not COCO JSON: {key!r} is not a list of objects.")
    if not content["annotations"]:
        raise InputError(f"{path} contains no annotations: 'annotations' is empty.")


def _kind(value: Any) -> str:
    return {list: "list", str: "text", int: "number", float: "number"}.get(type(value), "null")


def _categories(
    path: Path, entries: list[dict[str, Any]], skeleton: Skeleton
) -> tuple[set[Any], list[str]]:
    """Find the ids of the categories with keypoints; return also remarks on different names."""
    usable: set[Any] = set()
    notes: list[str] = []
    for entry in entries:
        names = entry.get("keypoints")
        if not names:
            continue
        where = f"{path}: category {entry.get('name', entry.get('id'))!r}"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: 'keypoints' is not a list of names.")
        if len(names) != skeleton.num_keypoints:
            raise InputError(
                f"{where} has {len(names)} keypoints, skeleton {skeleton.name!r} has "
                f"{skeleton.num_keypoints}. Choose the right one with --skeleton."
            )
        ours = list(skeleton.keypoints)
        theirs = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in names]
        for place, name in enumerate(theirs):
            if name in ours and ours.index(name) != place:
                raise InputError(
                    f"{where}: keypoint {place} is {names[place]!r}, which skeleton "
                    f"{skeleton.name!r} has at place {ours.index(name)}. Choose the right skeleton "
                    "with --skeleton."
                )
        renamed = [f"{n} as {o}" for n, t, o in zip(names, theirs, ours, strict=True) if t != o]
        if renamed:
            notes.append(f"keypoints are stored under other names: {', '.join(renamed)}")
        usable.add(entry.get("id"))
    if not usable:
        raise InputError(
            f"{path}: no category has keypoints. Give the category of the people a list of their "
            f'names, as COCO does: "keypoints": ["{skeleton.keypoints[0]}", ...].'
        )
    return usable, notes


def _images(
    entries: list[dict[str, Any]], images: Path
) -> tuple[dict[Any, ImageAnnotation], set[Any]]:
    """Images by id, without people, and the ids that two files share."""
    listed: dict[Any, ImageAnnotation] = {}
    twice: set[Any] = set()
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, int) or not isinstance(name, str):
            continue
        size = entry.get("height"), entry.get("width")
        known = all(isinstance(side, int) for side in size)
        photo = ImageAnnotation(images / name, name, number, (), 0, size if known else None)  # type: ignore[arg-type]
        if number in listed and listed[number] != photo:
            twice.add(number)
        listed[number] = photo
    return listed, twice


def _person(
    entry: dict[str, Any],
    listed: dict[Any, ImageAnnotation],
    twice: set[Any],
    categories: set[Any],
    seen: set[int],
    skeleton: Skeleton,
    whole_images: bool,
) -> tuple[ImageAnnotation, InstanceAnnotation]:
    number, image_id = entry.get("id"), entry.get("image_id")
    if not _whole(number) or not _whole(image_id):
        raise _Unusable(BAD_ID)
    if number in seen:
        raise _Unusable(ID_TWICE)
    seen.add(number)
    if image_id not in listed:
        raise _Unusable(NO_PHOTO_ENTRY)
    if image_id in twice:
        raise _Unusable(PHOTO_ID_TWICE)
    if entry.get("category_id") not in categories:
        raise _Unusable(NO_CATEGORY_KEYPOINTS)
    crowd = bool(entry.get("iscrowd"))
    if crowd and not whole_images:
        raise _Unusable(CROWD)
    blank = [0] * 3 * skeleton.num_keypoints
    keypoints = _numbers(blank if crowd else entry.get("keypoints", []))
    if keypoints.size != 3 * skeleton.num_keypoints:
        raise _Unusable(WRONG_LENGTH)
    box = _numbers(entry.get("bbox", []))
    if box.size != 4:
        raise _Unusable(NOT_NUMBERS)
    area = entry.get("area")
    table = keypoints.reshape(-1, 3)
    return listed[image_id], InstanceAnnotation(
        annotation_id=number,
        keypoints=table[:, :2],
        visible=table[:, 2],
        box_xywh=box,
        area=None if area is None else float(_numbers([area])[0]),
        crowd=crowd,
        segmentation=entry.get("segmentation") if whole_images else None,
    )


def _without_people(
    grouped: list[ImageAnnotation], listed: dict[Any, ImageAnnotation], twice: set[Any]
) -> list[ImageAnnotation]:
    """Listed images without annotated people, numbered after the others."""
    used = {photo.path for photo in grouped}
    first = sum(len(photo.people) for photo in grouped)
    rest = [p for number, p in listed.items() if number not in twice and p.path not in used]
    return [replace(photo, first_key=first + i) for i, photo in enumerate(rest)]


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _numbers(values: Any) -> np.ndarray:
    """Convert JSON numbers to float64 `[N]`; null becomes NaN."""
    try:
        return np.array(values, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise _Unusable(NOT_NUMBERS) from error


def _who(entry: dict[str, Any], place: int, listed: dict[Any, ImageAnnotation]) -> str:
    image_id = entry.get("image_id")
    photo = listed.get(image_id) if _whole(image_id) else None
    where = photo.name if photo else f"image id {image_id!r}"
    return f"annotation {entry['id']} in {where}" if "id" in entry else f"annotations[{place}]"


def _check_lengths(
    path: Path,
    entries: list[dict[str, Any]],
    skips: list[Skip],
    people: list[tuple[ImageAnnotation, InstanceAnnotation]],
    skeleton: Skeleton,
) -> None:
    """Raise InputError if all annotations have the wrong length: the file has another skeleton."""
    wrong = sum(skip.reason == WRONG_LENGTH for skip in skips)
    if people or not wrong:
        return
    lengths = [len(e["keypoints"]) for e in entries if isinstance(e.get("keypoints"), list)]
    if not lengths:
        raise InputError(f"{path}: no annotation has 'keypoints'; is this the keypoint file?")
    common = Counter(lengths).most_common(1)[0][0]
    raise InputError(
        f"{path}: the annotations have {common} numbers of keypoints; skeleton {skeleton.name!r} "
        f"needs {3 * skeleton.num_keypoints} (x, y, flag for each of {skeleton.num_keypoints}). "
        "Choose the right one with --skeleton."
    )
