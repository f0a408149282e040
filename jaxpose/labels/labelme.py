"""labelme's JSON: one file for each image, with points, rectangles and groups.

Points of one `group_id` are the keypoints of one instance, named by their labels; a rectangle of
the group is its box. Without groups all points of an image are one instance. A point with the flag
`occluded` is occluded. The name of an individual is the rectangle's label, or the description of
the points if all have the same one. Format: labelme, labelme/label_file.py.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError
from jaxpose.labels.labels import Gathered, Instance, Labels, number
from jaxpose.paths import atomic_write, is_inside
from jaxpose.skeletons import Skeleton

NAME = "labelme"
POINT_TWICE = "point twice in one group (individuals without group_id)"
LONE_BOX = "box without keypoints"
OTHER_SHAPE = "shape that is no point or rectangle"
_INSTANCE = "instance"
"""Label of a rectangle whose instance has no name."""


def is_labelme(content: Any) -> bool:
    """True if the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read a labelme file, or all of a folder and its folders.

    Args:
      path: file or folder.
      images: folder of the images; if None, the folder `path`, or that of the file.
      outside: also read images outside the folder.

    Raises:
      InputError: a file is damaged, or there are no labels.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    real = folder.resolve()
    gathered = Gathered(images or folder, outside)
    read: list[tuple[Path, dict[str, Any]]] = []
    for file in files:
        if not outside and not is_inside(file, real):
            gathered.notes.append(f"{file} is a link to a file outside the folder, and is not read")
            continue
        content = read_json(file)
        if is_labelme(content):
            read.append((file, content))
        else:
            gathered.notes.append(f"{file} is no labelme file, and is not read")
    names: dict[str, None] = {}
    for file, content in read:
        for place, shape in enumerate(content["shapes"], 1):
            if _kind(file, place, shape) == "point":
                names[_label(file, place, shape)] = None
    for file, content in read:
        gathered.files.append(file)
        relative = file.parent.relative_to(folder)
        _add(gathered, file, content, relative, tuple(names))
    return gathered.labels(NAME, path, tuple(names))


def _kind(file: Path, place: int, shape: Any) -> str:
    if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
        raise InputError(f"{file}, shape {place}: it has no list of points.")
    return str(shape.get("shape_type", "polygon"))


def _label(file: Path, place: int, shape: dict[str, Any]) -> str:
    label = shape.get("label")
    if not isinstance(label, str) or not label.strip():
        raise InputError(f"{file}, shape {place}: it has no label.")
    return label.strip()


def _points(file: Path, place: int, shape: dict[str, Any], counts: tuple[int, ...]) -> np.ndarray:
    """Points `[N, 2]` of a shape, of which there are one of `counts`."""
    where = f"{file}, shape {place}"
    points = shape["points"]
    if len(points) not in counts or any(not isinstance(p, list) or len(p) != 2 for p in points):
        raise InputError(f"{where}: a {shape['shape_type']} with points {str(points)[:60]}.")
    return np.array([[number(value, where) for value in point] for point in points])


def _add(
    gathered: Gathered,
    file: Path,
    content: dict[str, Any],
    relative: Path,
    names: tuple[str, ...],
) -> None:
    size = content.get("imageHeight"), content.get("imageWidth")
    known = all(type(side) is int and 0 < side < 2**31 for side in size)
    image = content.get("imagePath")
    if not isinstance(image, str) or not image:
        raise InputError(f"{file}: `imagePath`, the name of the image, is absent.")
    points: dict[Any, dict[str, tuple[float, float, int]]] = {}
    boxes: dict[Any, tuple[str, np.ndarray]] = {}
    descriptions: dict[Any, set[str]] = {}
    twice: dict[Any, str] = {}
    for place, shape in enumerate(content["shapes"], 1):
        kind, group = _kind(file, place, shape), shape.get("group_id")
        where = f"{file}, shape {place}"
        if group is not None and type(group) not in (int, str):
            raise InputError(f"{where}: its group_id is neither a number nor null.")
        if kind == "point":
            name = _label(file, place, shape)
            x, y = _points(file, place, shape, (1,))[0]
            flags = shape.get("flags")
            occluded = isinstance(flags, dict) and flags.get("occluded") is True
            own = points.setdefault(group, {})
            if name in own:
                twice.setdefault(group, where)
            own[name] = (float(x), float(y), 1 if occluded else 2)
            descriptions.setdefault(group, set()).add(str(shape.get("description") or ""))
        elif kind == "rectangle":
            corners = _points(file, place, shape, (2, 4))
            low, high = corners.min(axis=0), corners.max(axis=0)
            label = _label(file, place, shape)
            if group in boxes:
                gathered.leave_out("second box of a group", where)
            else:
                boxes[group] = label, np.concatenate([low, high - low])
        else:
            gathered.leave_out(OTHER_SHAPE, f"{where}: {kind[:40]}")
    if len(points) == len(boxes) == 1:  # the only box belongs to the only instance
        boxes = dict(zip(points, boxes.values(), strict=True))
    instances = []
    for group, own in points.items():
        where = f"{file}, group {group}" if group is not None else str(file)
        if group in twice:
            gathered.leave_out(POINT_TWICE, twice[group])
            continue
        label, box = boxes.get(group, ("", None))
        said = descriptions[group]
        individual = label or (next(iter(said)) if len(said) == 1 else "")
        individual = "" if individual == _INSTANCE else individual
        instances.append(Instance.of(names, own, where, individual, box))
    for group in boxes:
        if group not in points:
            gathered.leave_out(LONE_BOX, f"{file}, group {group}")
    plain = image.replace("\\", "/")
    last = plain.rpartition("/")[2]
    # labelme states the image's path from the file's folder.
    gathered.add(
        (relative / plain).as_posix(),
        instances,
        others=((relative / last).as_posix(), last),
        image_hw=size if known else None,  # type: ignore[arg-type]
    )


def write_labelme(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write a JSON file for each image into the folder `out`, beside which its images belong.

    Raises:
      InputError: two images would have one file, or a name leads outside the folder.
    """
    written: set[Path] = set()
    for image in labels.images:
        file = (out / image.name).with_suffix(".json")
        if not is_inside(file, out.resolve()):
            raise InputError(f"{image.name}: the name leads outside the folder {out}.")
        if file in written:
            raise InputError(f"{file} would be written twice: two images have this name.")
        written.add(file)
        shapes = []
        for group, one in enumerate(image.instances, 1):
            common = {"group_id": group, "description": one.individual}
            if one.box_xywh is not None:
                low, size = one.box_xywh[:2], one.box_xywh[2:]
                corners = [low.tolist(), (low + size).tolist()]
                label = one.individual or _INSTANCE
                shapes.append(_shape(label, corners, "rectangle", common))
            for name, point, flag in zip(
                skeleton.keypoints, one.keypoints, one.visible, strict=True
            ):
                if flag:
                    shape = _shape(name, [point.tolist()], "point", common)
                    shapes.append({**shape, "flags": {"occluded": True} if flag == 1 else {}})
        height, width = image.image_hw or (None, None)
        content: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": Path(image.name).name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps(content, indent=1, allow_nan=False))


def _shape(
    label: str, points: list[list[float]], kind: str, common: dict[str, Any]
) -> dict[str, Any]:
    rounded = [[round(value, 6) for value in point] for point in points]
    return {"label": label, "points": rounded, **common, "shape_type": kind, "flags": {}}
