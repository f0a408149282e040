"""VGG Image Annotator's labels, version 2: points and rectangles of images, in JSON or CSV.

A point is a keypoint: the region attribute `keypoint`, `part`, `bodypart`, `name`, `label` or
`class`, or the only one, has its name. The attribute `individual`, `animal`, `instance`, `track` or
`id` separates individuals; a rectangle with the same value is the individual's box. A region
attribute `occluded` marks an occluded point. The JSON is a project or an export of annotations.
Format: https://www.robots.ox.ac.uk/~vgg/software/via.
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.labels.labels import Gathered, Instance, Labels, number

NAME = "via"
POINT_TWICE = "point twice in one image (individuals without an attribute `individual`)"
LONE_BOX = "box without keypoints"
OTHER_SHAPE = "shape that is no point or rectangle"
NO_NAME = "point without a name"

PART_KEYS = ("keypoint", "part", "bodypart", "name", "label", "class")
INDIVIDUAL_KEYS = ("individual", "animal", "instance", "track", "id")
HEADER = "filename,file_size,file_attributes,region_count,region_id"
"""Beginning of the CSV's first line."""


@dataclass(frozen=True)
class _Region:
    """Region with its shape, its attributes and its place in the file."""

    shape: dict[str, Any]
    attributes: dict[str, Any]
    where: str


def is_via(content: Any) -> bool:
    """True if the content of a JSON file is VIA's."""
    entries = _entries(content)
    return bool(entries) and all(
        isinstance(entry, dict) and "filename" in entry and "regions" in entry for entry in entries
    )


def _entries(content: Any) -> list[Any]:
    if not isinstance(content, dict):
        return []
    images = content.get("_via_img_metadata", content)
    return list(images.values()) if isinstance(images, dict) else []


def read_via(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read a project or an export of annotations.

    Args:
      path: file in JSON or CSV.
      images: folder of the images; if None, the folder of the file.
      outside: also read images outside the folder.

    Raises:
      InputError: a region is not as described, or there are no labels.
    """
    found = _of_csv(path) if path.suffix.lower() == ".csv" else _of_json(path)
    gathered = Gathered(images or path.parent, outside, files=[path])
    names: dict[str, None] = {}
    for regions in found.values():
        for region in regions:
            if region.shape.get("name") == "point":
                names |= dict.fromkeys(filter(None, [_value(region, PART_KEYS, only=True)]))
    for name, regions in found.items():
        _add(gathered, name, regions, tuple(names))
    return gathered.labels(NAME, path, tuple(names))


def _of_json(path: Path) -> dict[str, list[_Region]]:
    found: dict[str, list[_Region]] = {}
    for entry in _entries(read_json(path)):
        entry = entry if isinstance(entry, dict) else {}
        name, regions = entry.get("filename"), entry.get("regions")
        if not isinstance(name, str) or not name:
            raise InputError(f"{path}: an image has no `filename`.")
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        if not isinstance(regions, list):
            raise InputError(f"{path}, {name}: `regions` is no list.")
        own = found.setdefault(name, [])
        for place, region in enumerate(regions, 1):
            region = region if isinstance(region, dict) else {}
            shape, attributes = region.get("shape_attributes"), region.get("region_attributes")
            own.append(_region(shape, attributes, f"{path}, {name}, region {place}"))
    return found


def _of_csv(path: Path) -> dict[str, list[_Region]]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, ANNOTATIONS), newline="")))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}.") from None
    found: dict[str, list[_Region]] = {}
    for number_, row in enumerate(rows, 2):
        where = f"{path}, row {number_}"
        if not row.get("filename"):
            raise InputError(f"{where}: an image has no `filename`.")
        own = found.setdefault(row["filename"], [])
        if row.get("region_count") == "0":
            continue
        contents: list[Any] = []
        for key in ("region_shape_attributes", "region_attributes"):
            try:
                contents.append(parse_json(row.get(key) or ""))
            except json.JSONDecodeError as error:
                raise InputError(f"{where}: `{key}` is not valid JSON: {error.msg}.") from None
        own.append(_region(contents[0], contents[1], where))
    return found


def _region(shape: Any, attributes: Any, where: str) -> _Region:
    if not isinstance(shape, dict) or not isinstance(attributes, dict):
        raise InputError(f"{where}: it has no `shape_attributes` or no `region_attributes`.")
    return _Region(shape, attributes, where)


def _value(region: _Region, keys: tuple[str, ...], *, only: bool = False) -> str:
    """Text of the first attribute of these names; empty if there is none.

    Args:
      region: the region.
      keys: names of attributes.
      only: without such a name take the only attribute, whatever its name is.
    """
    by_name = {str(key).strip().lower(): value for key, value in region.attributes.items()}
    key = next((key for key in keys if key in by_name), None)
    if key is None and only:
        rest = [one for one in by_name if one not in (*INDIVIDUAL_KEYS, "occluded")]
        key = rest[0] if len(rest) == 1 else None
    value = by_name.get(key or "", "")
    if isinstance(value, dict):  # of check boxes: the one that is set
        value = next((str(one) for one, is_set in value.items() if is_set), "")
    return "" if isinstance(value, list) else str(value).strip()


def _numbers(region: _Region, *keys: str) -> list[float]:
    return [number(region.shape.get(key), f"{region.where}, {key}") for key in keys]


def _add(gathered: Gathered, name: str, regions: list[_Region], names: tuple[str, ...]) -> None:
    points: dict[str, dict[str, tuple[float, float, int]]] = {}
    boxes: dict[str, tuple[np.ndarray, str]] = {}
    first: dict[str, str] = {}
    twice: set[str] = set()
    for region in regions:
        individual, kind = _value(region, INDIVIDUAL_KEYS), region.shape.get("name")
        if kind == "rect":
            if individual in boxes:
                gathered.leave_out("second box of an individual", region.where)
            else:
                box = np.array(_numbers(region, "x", "y", "width", "height"))
                boxes[individual] = box, region.where
            continue
        part = _value(region, PART_KEYS, only=True)
        if kind != "point" or not part:
            reason = NO_NAME if kind == "point" else OTHER_SHAPE
            gathered.leave_out(reason, region.where)
            continue
        x, y = _numbers(region, "cx", "cy")
        is_occluded = _value(region, ("occluded",)).lower() in ("1", "true", "yes", "occluded")
        own = points.setdefault(individual, {})
        first.setdefault(individual, region.where)
        if part in own:
            twice.add(individual)
        own[part] = (x, y, 1 if is_occluded else 2)
    if len(points) == len(boxes) == 1:  # the only box belongs to the only individual
        boxes = dict(zip(points, boxes.values(), strict=True))
    instances = []
    for individual, own in points.items():
        where = first[individual]
        if individual in twice:
            gathered.leave_out(POINT_TWICE, where)
            continue
        own_box = boxes[individual][0] if individual in boxes else None
        instances.append(Instance.of(names, own, where, individual, own_box))
    for individual, (_, where) in boxes.items():
        if individual not in points:
            gathered.leave_out(LONE_BOX, where)
    last = name.replace("\\", "/").rpartition("/")[2]
    gathered.add(name, instances, others=(last,))
