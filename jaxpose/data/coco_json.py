"""Reading of COCO keypoint annotations: https://cocodataset.org/#format-data, section 2.

A bad annotation is skipped and counted. A file that is not COCO, or has another skeleton, is an
error.
"""

import json
import posixpath
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from jaxpose.data.canvas import ImageAnnotation, InstanceAnnotation, Skip, by_image
from jaxpose.errors import InputError, nearest
from jaxpose.file_limits import ANNOTATIONS, read_bytes
from jaxpose.json_text import parse_json
from jaxpose.media.image import missing
from jaxpose.paths import is_inside
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.names import compare_names

CROWD = "crowd"
WRONG_LENGTH = "keypoints of the wrong length"
NOT_NUMBERS = "keypoints, box or area that are not numbers"
ID_TWICE = "annotation id used twice"
IMAGE_ID_TWICE = "image id used twice"
NO_IMAGE_ENTRY = "image not listed in the file"
NO_CATEGORY = "category is not in the file"
NO_CATEGORY_KEYPOINTS = "category without keypoints"
OTHER_CATEGORY = "category with the keypoints of another skeleton"
NO_BOX = "no box (bbox)"
BAD_BOX_LENGTH = "box (bbox) not of four numbers"
FILE_TWICE = "file_name of another image id"
OUTSIDE = "file_name outside the image folder"
BAD_ID = "id is not a whole number"
_ON_PURPOSE = frozenset({CROWD, NO_CATEGORY_KEYPOINTS, OTHER_CATEGORY})
"""Reasons that are no faults of the file."""


def read_json(path: str | Path) -> Any:
    """Read the content of a JSON file.

    Raises:
        InputError: the file is missing or is not JSON; the message has the line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        return parse_json(read_bytes(path, ANNOTATIONS))
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
    outside: bool = False,
) -> tuple[list[ImageAnnotation], list[Skip], list[str]]:
    """Read images with their people, the people left out, and remarks on the file.

    Each category is read by itself: those with other keypoints than the skeleton's are left out.
    Two image ids with one `file_name` were probably two files whose folders were lost; the people
    of the second id are left out, since they would be placed on the first one's pixels.

    Args:
      path: the annotation file.
      images: the folder to which the file's `file_name` entries are relative.
      skeleton: skeleton of the keypoints; must agree with the file's categories.
      whole_images: also read crowd regions and segmentations, which whole images need.
      empty: with `whole_images`, also read images without people.
      outside: also take images outside the folder, through `..`, an absolute path or a link.

    Raises:
      InputError: the file is not COCO keypoint JSON, no category has the skeleton, or the folder
        does not exist.
    """
    path, images = Path(path), Path(images)
    content = read_json(path)
    _check_shape(path, content)
    if not images.is_dir():
        raise InputError(f"{missing(images) if not images.exists() else f'{images} is a file'}.")
    categories, notes = _categories(path, content["categories"], skeleton)
    listed, unusable_images = _images(content["images"], images, outside)
    skips: list[Skip] = []
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    seen: set[int] = set()
    for place, entry in enumerate(content["annotations"]):
        who = _who(entry, place, listed)
        image = None
        try:
            image, person = _person(
                entry, listed, unusable_images, categories, seen, skeleton, whole_images
            )
        except _Unusable as unusable:
            skips.append(Skip(str(unusable), who, str(unusable) not in _ON_PURPOSE))
        else:
            people.append((image, person))
    _check_lengths(path, content["annotations"], skips, people, skeleton)
    grouped = list(by_image(people))
    if whole_images and empty:
        grouped += _without_people(grouped, listed, unusable_images)
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
) -> tuple[dict[Any, str], list[str]]:
    """Find the categories with this skeleton's keypoints; return also remarks on the names.

    Returns:
      For each id of a category the reason why its annotations are left out, which is empty for a
      usable category.
    """
    reasons: dict[Any, str] = {}
    notes: list[str] = []
    faults: list[str] = []
    for entry in entries:
        names = entry.get("keypoints")
        if not names:
            reasons.setdefault(_key(entry.get("id")), NO_CATEGORY_KEYPOINTS)
            continue
        name = f"category {entry.get('name', entry.get('id'))!r}"
        fault, renamed = _compare(names, skeleton)
        reasons[_key(entry.get("id"))] = OTHER_CATEGORY if fault else ""
        if fault:
            faults.append(f"{name}{fault}")
        elif renamed:
            notes.append(f"keypoints are stored under other names: {', '.join(renamed)}")
    if all(reason == NO_CATEGORY_KEYPOINTS for reason in reasons.values()):
        raise InputError(
            f"{path}: no category has keypoints. Give the category of the people a list of their "
            f'names, as COCO does: "keypoints": ["{skeleton.keypoints[0]}", ...].'
        )
    if all(reasons.values()):
        more = f" {len(faults) - 1} more categories do not fit either." if len(faults) > 1 else ""
        raise InputError(f"{path}: {faults[0]}. Choose the right skeleton with --skeleton.{more}")
    notes += [f"left out: {fault}" for fault in faults]
    return reasons, notes


def _compare(names: Any, skeleton: Skeleton) -> tuple[str, list[str]]:
    """Fault of a category's keypoint names, empty for none, and the names that are changed."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ": 'keypoints' is not a list of names", []
    if len(names) != skeleton.num_keypoints:
        return (
            f" has {len(names)} keypoints, skeleton {skeleton.name!r} has {skeleton.num_keypoints}",
            [],
        )
    compared = compare_names(names, skeleton)
    if compared.moved:
        place, name, expected = compared.moved[0]
        return (
            f": keypoint {place} is {name!r}, but skeleton {skeleton.name!r} has {expected!r} at "
            "this place",
            [],
        )
    return "", [f"{name} as {expected}" for name, expected in compared.renamed]


def _images(
    entries: list[dict[str, Any]], folder: Path, outside: bool
) -> tuple[dict[Any, ImageAnnotation], dict[Any, str]]:
    """Images by id, without people, and the ids that cannot be used, with the reason."""
    listed: dict[Any, ImageAnnotation] = {}
    unusable: dict[Any, str] = {}
    ids: dict[str, Any] = {}
    real_folder = folder.resolve()
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, int) or not isinstance(name, str):
            continue
        size = entry.get("height"), entry.get("width")
        known = all(isinstance(side, int) for side in size)
        image = ImageAnnotation(folder / name, name, number, (), 0, size if known else None)  # type: ignore[arg-type]
        if number in listed and listed[number] != image:
            unusable[number] = IMAGE_ID_TWICE
        elif ids.setdefault(posixpath.normpath(name), number) != number:
            unusable[number] = FILE_TWICE
        elif not outside and not is_inside(image.path, real_folder):
            unusable[number] = OUTSIDE
        listed[number] = image
    return listed, unusable


def _person(
    entry: dict[str, Any],
    listed: dict[Any, ImageAnnotation],
    unusable_images: dict[Any, str],
    categories: dict[Any, str],
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
        raise _Unusable(NO_IMAGE_ENTRY)
    if image_id in unusable_images:
        raise _Unusable(unusable_images[image_id])
    reason = categories.get(_key(entry.get("category_id")), NO_CATEGORY)
    if reason:
        raise _Unusable(reason)
    crowd = bool(entry.get("iscrowd"))
    if crowd and not whole_images:
        raise _Unusable(CROWD)
    blank = [0] * 3 * skeleton.num_keypoints
    keypoints = _numbers(blank if crowd else entry.get("keypoints", []))
    if keypoints.size != 3 * skeleton.num_keypoints:
        raise _Unusable(WRONG_LENGTH)
    if entry.get("bbox") in (None, []):
        raise _Unusable(NO_BOX)
    box = _numbers(entry["bbox"])
    if box.size != 4:
        raise _Unusable(BAD_BOX_LENGTH)
    area = None if entry.get("area") is None else _numbers(entry["area"])
    if area is not None and area.size != 1:
        raise _Unusable(NOT_NUMBERS)
    table = keypoints.reshape(-1, 3)
    return listed[image_id], InstanceAnnotation(
        annotation_id=number,
        keypoints=table[:, :2],
        visible=table[:, 2],
        box_xywh=box,
        area=None if area is None else float(area[0]),
        crowd=crowd,
        segmentation=entry.get("segmentation") if whole_images else None,
    )


def _without_people(
    grouped: list[ImageAnnotation],
    listed: dict[Any, ImageAnnotation],
    unusable_images: dict[Any, str],
) -> list[ImageAnnotation]:
    """Listed images without annotated people, numbered after the others."""
    used = {image.path for image in grouped}
    first = sum(len(image.people) for image in grouped)
    rest = [p for i, p in listed.items() if i not in unusable_images and p.path not in used]
    return [replace(image, first_key=first + i) for i, image in enumerate(rest)]


def _key(value: Any) -> int | str | None:
    """Id of a category as a key; None for a value that cannot be an id."""
    return value if isinstance(value, int | str) else None


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _numbers(values: Any) -> np.ndarray:
    """Convert JSON numbers to float64 `[N]`; null becomes NaN."""
    try:
        return np.array(values, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unusable(NOT_NUMBERS) from error


def _who(entry: dict[str, Any], place: int, listed: dict[Any, ImageAnnotation]) -> str:
    image_id = entry.get("image_id")
    image = listed.get(image_id) if _whole(image_id) else None
    where = image.name if image else f"image id {image_id!r}"
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
