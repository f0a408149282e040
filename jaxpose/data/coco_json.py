"""Reading of COCO keypoint annotations: https://cocodataset.org/#format-data, section 2.

A bad annotation is skipped and counted. A file that is not COCO, or has another skeleton, is an
error.
"""

import json
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from jaxpose.data.canvas import ImageAnnotation, InstanceAnnotation, Skip, by_image, check_folder
from jaxpose.data.published_sets import (
    PIXELS_PER_SCALE,
    SQUARE,
    Entries,
    PublishedSet,
)
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
NO_SQUARE = "no center or scale"
NOT_ANNOTATED = "part not annotated"
_ON_PURPOSE = frozenset({CROWD, NO_CATEGORY_KEYPOINTS, OTHER_CATEGORY, NOT_ANNOTATED})
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
    published: PublishedSet | None = None,
) -> tuple[list[ImageAnnotation], list[Skip], list[str]]:
    """Read images with their people, the people left out, and remarks on the file.

    Each category is read by itself: those with other keypoints than the skeleton's are left out.
    Two image ids with one `file_name` were probably two files whose folders were lost; the people
    of the second id are left out, since they would be placed on the first one's pixels.

    Where an annotation describes several instances (the hands of COCO-WholeBody), the id of each is
    the annotation's id times their number, plus its place.

    Args:
      path: the annotation file, or a folder of such files (PoseTrack18 has one for each video).
      images: the folder to which the file's `file_name` entries are relative.
      skeleton: skeleton of the keypoints; must agree with the file's categories.
      whole_images: also read crowd regions and segmentations, which whole images need.
      empty: with `whole_images`, also read images without people.
      outside: also take images outside the folder, through `..`, an absolute path or a link.
      published: layout of a public dataset's files; None means COCO's format.

    Raises:
      InputError: the file is not COCO keypoint JSON, no category has the skeleton, or the folder
        does not exist.
    """
    path, images = Path(path), Path(images)
    content = _read_files(path)
    check_folder(images)
    categories, notes = _categories(path, content["categories"], skeleton, published)
    layout, unlisted = published or PublishedSet(skeleton), NO_CATEGORY
    if published is not None:
        unlisted = ""  # Animal Kingdom's files do not list all of their categories
    listed, unusable_images = images_by_id(content["images"], images, outside, layout.rooted)
    skips: list[Skip] = []
    people: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    seen: set[int] = set()
    for place, entry in enumerate(content["annotations"]):
        who = _who(entry, place, listed)
        try:
            image, number = _image_of(entry, listed, unusable_images, seen)
            if reason := categories.get(_key(entry.get("category_id")), unlisted):
                raise _Unusable(reason)
        except _Unusable as unusable:
            skips.append(_skip(unusable, who))
            continue
        for part, entries in enumerate(layout.entries):
            name = f"{entries.part} of {who}" if entries.part else who
            try:
                own_id = number * len(layout.entries) + part
                people.append((image, _person(entry, entries, layout, whole_images, own_id)))
            except _Unusable as unusable:
                skips.append(_skip(unusable, name))
    _check_lengths(path, content["annotations"], skips, people, skeleton)
    grouped = list(by_image(people))
    if whole_images and empty:
        grouped += _without_people(grouped, listed, unusable_images)
    return grouped, skips, notes


class _Unusable(Exception):
    """Error with the reason why an annotation is skipped."""


def _skip(unusable: _Unusable, who: str) -> Skip:
    return Skip(str(unusable), who, str(unusable) not in _ON_PURPOSE)


def _read_files(path: Path) -> dict[str, Any]:
    """Content of an annotation file, or of all those of a folder, joined in order of their names.

    Categories of equal ids count once: those of the first file.
    """
    files = annotation_files(path)
    joined: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for file in files:
        content = read_json(file)
        _check_shape(file, content)
        for key in ("images", "annotations"):
            joined[key] += content[key]
        known = [entry.get("id") for entry in joined["categories"]]
        joined["categories"] += [e for e in content["categories"] if e.get("id") not in known]
    if not joined["annotations"]:
        raise InputError(f"{path} contains no annotations: 'annotations' is empty.")
    return joined


def annotation_files(path: Path) -> list[Path]:
    """The file itself, or the JSON files of a folder, by name.

    Raises:
        InputError: the folder contains no JSON file.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        raise InputError(f"{path} contains no .json file.")
    return files


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


def _kind(value: Any) -> str:
    return {list: "list", str: "text", int: "number", float: "number"}.get(type(value), "null")


def _categories(
    path: Path, entries: list[dict[str, Any]], skeleton: Skeleton, published: PublishedSet | None
) -> tuple[dict[Any, str], list[str]]:
    """Find the categories with this skeleton's keypoints; return also remarks on the names.

    In a published dataset the order of the keypoints is known: a category without names has it,
    other names are no news, and a category may name only the first keypoints or more of them.

    Returns:
      For each id of a category the reason why its annotations are left out, which is empty for a
      usable category.
    """
    reasons: dict[Any, str] = {}
    notes: list[str] = []
    faults: list[str] = []
    for entry in entries:
        names = entry.get("keypoints")
        if published is not None:
            names = names if names and published.named else list(skeleton.keypoints)
        if not names:
            reasons.setdefault(_key(entry.get("id")), NO_CATEGORY_KEYPOINTS)
            continue
        name = f"category {entry.get('name', entry.get('id'))!r}"
        fault, renamed = _compare(names, skeleton, published is not None)
        reasons[_key(entry.get("id"))] = OTHER_CATEGORY if fault else ""
        if fault:
            faults.append(f"{name}{fault}")
        elif renamed and published is None:
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


def _compare(names: Any, skeleton: Skeleton, some: bool) -> tuple[str, list[str]]:
    """Fault of a category's keypoint names, empty for none, and the names that are changed.

    With `some`, the names may be fewer or more than the skeleton's.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ": 'keypoints' is not a list of names", []
    if len(names) != skeleton.num_keypoints and not some:
        return (
            f" has {len(names)} keypoints, skeleton {skeleton.name!r} has {skeleton.num_keypoints}",
            [],
        )
    compared = compare_names(names[: skeleton.num_keypoints], skeleton)
    if compared.moved:
        place, name, expected = compared.moved[0]
        return (
            f": keypoint {place} is {name!r}, but skeleton {skeleton.name!r} has {expected!r} at "
            "this place",
            [],
        )
    return "", [f"{name} as {expected}" for name, expected in compared.renamed]


def images_by_id(
    entries: Sequence[dict[str, Any]], folder: Path, outside: bool, rooted: bool
) -> tuple[dict[Any, ImageAnnotation], dict[Any, str]]:
    """Images by id, without people, and the ids that cannot be used, with the reason.

    With `rooted`, a "/" at the beginning of a name means the folder.
    """
    listed: dict[Any, ImageAnnotation] = {}
    unusable: dict[Any, str] = {}
    ids: dict[str, Any] = {}
    real_folder = folder.resolve()
    for entry in entries:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, int) or not isinstance(name, str):
            continue
        name = name.lstrip("/") if rooted else name
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


def _image_of(
    entry: dict[str, Any],
    listed: dict[Any, ImageAnnotation],
    unusable_images: dict[Any, str],
    seen: set[int],
) -> tuple[ImageAnnotation, int]:
    """Image and id of an annotation whose ids can be used."""
    number, image_id = entry.get("id"), entry.get("image_id")
    if not is_id(number) or not is_id(image_id):
        raise _Unusable(BAD_ID)
    if number in seen:
        raise _Unusable(ID_TWICE)
    seen.add(number)
    if image_id not in listed:
        raise _Unusable(NO_IMAGE_ENTRY)
    if image_id in unusable_images:
        raise _Unusable(unusable_images[image_id])
    return listed[image_id], number


def _person(
    entry: dict[str, Any],
    entries: Entries,
    layout: PublishedSet,
    whole_images: bool,
    own_id: int,
) -> InstanceAnnotation:
    if not is_id(own_id):
        raise _Unusable(BAD_ID)
    crowd = bool(entry.get("iscrowd"))
    if crowd and not whole_images:
        raise _Unusable(CROWD)
    if entries.valid and not entry.get(entries.valid):
        raise _Unusable(NOT_ANNOTATED)
    count = layout.skeleton.num_keypoints
    table = np.zeros((count, 3)) if crowd else _table(entry, entries, layout)
    box = _box(entry, entries)
    box[:2] -= layout.first_pixel
    area = None if entry.get("area") is None or not layout.whole else _numbers(entry["area"])
    if area is not None and area.size != 1:
        raise _Unusable(NOT_NUMBERS)
    return InstanceAnnotation(
        annotation_id=own_id,
        keypoints=table[:, :2] - layout.first_pixel,
        visible=table[:, 2],
        box_xywh=box,
        area=None if area is None else float(area[0]),
        clip=entries.box != SQUARE,
        crowd=crowd,
        segmentation=entry.get("segmentation") if whole_images and layout.whole else None,
    )


def _table(entry: dict[str, Any], entries: Entries, layout: PublishedSet) -> np.ndarray:
    """Positions and flags `[K, 3]` of one instance, float64."""
    count = layout.skeleton.num_keypoints
    parts = []
    for name in entries.keypoints:
        part = _numbers(entry.get(name, []))
        if part.size % 3:
            raise _Unusable(WRONG_LENGTH)
        part = part.reshape(-1, 3)
        if name in entries.labelled:
            part[:, 2] = np.where(part[:, 2] > 0, 2, part[:, 2])
        parts.append(part)
    table = np.concatenate(parts)
    if len(table) in layout.longer:
        table = table[:count]
    if len(table) != count:
        raise _Unusable(WRONG_LENGTH)
    return table


def _box(entry: dict[str, Any], entries: Entries) -> np.ndarray:
    """Box `[4]` (xywh), float64."""
    if entries.box == SQUARE:
        if entry.get("center") is None or entry.get("scale") is None:
            raise _Unusable(NO_SQUARE)
        center, scale = _numbers(entry["center"]), _numbers(entry["scale"])
        if center.size != 2 or scale.size != 1:
            raise _Unusable(NOT_NUMBERS)
        side = np.repeat(scale * PIXELS_PER_SCALE, 2)
        return np.concatenate([center - side / 2, side])
    if entry.get(entries.box) in (None, []):
        raise _Unusable(NO_BOX)
    box = _numbers(entry[entries.box])
    if box.size != 4:
        raise _Unusable(BAD_BOX_LENGTH)
    return box


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


def is_id(value: Any) -> TypeGuard[int]:
    """Return True for a JSON value that can be an id: a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _numbers(values: Any) -> np.ndarray:
    """Convert JSON numbers to float64 `[N]`; null becomes NaN."""
    try:
        return np.array(values, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unusable(NOT_NUMBERS) from error


def _who(entry: dict[str, Any], place: int, listed: dict[Any, ImageAnnotation]) -> str:
    image_id = entry.get("image_id")
    image = listed.get(image_id) if is_id(image_id) else None
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
        "Choose the right one with --skeleton, or --dataset for a public dataset."
    )
