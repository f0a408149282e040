"""Label Studio's JSON export: a list of tasks, each an image with annotations.

Coordinates are percentages of the image's width and height. A keypoint belongs to the rectangle
that is its parent (`parentID`, or a relation between the two); without rectangles all keypoints of
an image are one instance. The name of an individual is the text of the rectangle (`meta`), or its
label if rectangles have several labels and no image has one twice. A keypoint with the text
`occluded` is occluded. Format: https://labelstud.io/guide/task_format and
https://labelstud.io/tags/keypointlabels.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError
from jaxpose.labels.labels import Gathered, Instance, Labels, number
from jaxpose.labels.records import size_of
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton

NAME = "label-studio"
NO_PARENT = "keypoints without a rectangle as parent"
POINT_TWICE = "point twice in one instance (individuals without rectangles)"
LONE_BOX = "box without keypoints"
CANCELLED = "annotation that was skipped in the tool"
OTHER_ANNOTATION = "second annotation of an image"
TURNED = "rectangle or image that is turned"
Point = tuple[float, float, int]
Group = tuple[str, np.ndarray | None, dict[str, Point]]
"""Individual, box and points of an instance."""

_IMAGE = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|gif)$", re.IGNORECASE)


def is_label_studio(content: Any) -> bool:
    """True if the content of a JSON file is a full export of Label Studio."""
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and isinstance(content[0].get("data"), dict)
    )


def read_label_studio(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read a JSON export.

    Args:
      path: the file.
      images: folder of the images; if None, that of the file. Images are found by the path in the
        export, or by the last part of it, without the digits that uploads get in front.
      outside: also read images outside the folder.

    Raises:
      InputError: the file is not as described, or has no labels.
    """
    content = read_json(path)
    if not is_label_studio(content):
        raise InputError(
            f"{path} is not Label Studio's JSON. Export with the format JSON, not JSON-MIN, CSV or "
            "a format of another tool"
        )
    gathered = Gathered(images or path.parent, outside, files=[path])
    tasks = []
    for place, task in enumerate(content, 1):
        where = f"{path}, task {task.get('id', place) if isinstance(task, dict) else place}"
        tasks.append((task, where, _results(gathered, task, where)))
    individuals = _labels_are_individuals(tasks)
    read = [(task, where, _regions(gathered, r, where, individuals)) for task, where, r in tasks]
    names = dict.fromkeys(n for _, _, (groups, _) in read for group in groups for n in group[2])
    for task, where, (groups, size) in read:
        instances = [
            Instance.of(tuple(names), points, f"{where}, instance {place}", individual, box)
            for place, (individual, box, points) in enumerate(groups, 1)
        ]
        name, others = _image(task, where)
        gathered.add(name, instances, others=others, image_hw=size and size[::-1])
    return gathered.labels(NAME, path, tuple(names))


def _labels_are_individuals(tasks: list[tuple[Any, str, list[dict[str, Any]]]]) -> bool:
    """True if rectangles have several labels, and no image has one of them twice."""
    used: set[str] = set()
    for _, where, results in tasks:
        found = [_label(i, where) for i in results if i.get("type") == "rectanglelabels"]
        if len(set(found)) != len(found):
            return False
        used.update(found)
    return len(used) > 1


def _results(gathered: Gathered, task: Any, where: str) -> list[dict[str, Any]]:
    """Items of the first annotation that was not skipped; other ones with labels are counted."""
    annotations = task.get("annotations") if isinstance(task, dict) else None
    if not isinstance(annotations, list):
        raise InputError(f"{where}: it has no list `annotations`.")
    chosen: list[dict[str, Any]] | None = None
    for annotation in annotations:
        items = annotation.get("result") if isinstance(annotation, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InputError(f"{where}: an annotation has no list `result`.")
        if annotation.get("was_cancelled"):
            if items:
                gathered.leave_out(CANCELLED, where)
        elif chosen is None:
            chosen = items
        elif items:
            gathered.leave_out(OTHER_ANNOTATION, where)
    return chosen or []


def _value(item: dict[str, Any], where: str) -> dict[str, Any]:
    value = item.get("value")
    if not isinstance(value, dict):
        raise InputError(f"{where}: a {item.get('type')} has no `value`.")
    return value


def _label(item: dict[str, Any], where: str) -> str:
    labels = _value(item, where).get(item["type"])
    if not isinstance(labels, list) or not labels or not isinstance(labels[0], str):
        raise InputError(f"{where}: a {item['type']} has no label.")
    return labels[0]


def _size(item: dict[str, Any], where: str) -> tuple[int, int]:
    """Width and height of the image, of which the coordinates are percentages."""
    size = item.get("original_width"), item.get("original_height")
    if not all(type(side) is int and 0 < side < 2**31 for side in size):
        raise InputError(f"{where}: `original_width` and `original_height` must be pixels.")
    return size  # type: ignore[return-value]


def _regions(
    gathered: Gathered, results: list[dict[str, Any]], where: str, individuals: bool
) -> tuple[list[Group], tuple[int, int] | None]:
    """Individual, box and points of each instance of a task; width and height of the image."""
    boxes: dict[str, tuple[str, np.ndarray]] = {}
    points: list[tuple[dict[str, Any], str, Point]] = []
    size: tuple[int, int] | None = None
    parents: dict[str, str] = {}
    turned: set[str] = set()
    for item in results:
        kind = item.get("type")
        if kind == "relation":
            ends = str(item.get("from_id")), str(item.get("to_id"))
            parents[ends[0]], parents[ends[1]] = ends[1], ends[0]
        if kind not in ("keypointlabels", "rectanglelabels"):
            continue
        size = _size(item, where)
        value = _value(item, where)
        keys = ("x", "y") if kind == "keypointlabels" else ("x", "y", "width", "height")
        percents = np.array([number(value.get(key), f"{where}, {key}") for key in keys])
        pixels = percents / 100 * np.array(size * (len(keys) // 2), np.float64)
        own = str(item.get("id"))
        if item.get("image_rotation") or (kind == "rectanglelabels" and value.get("rotation")):
            gathered.leave_out(TURNED, where)
            turned.add(own)
        elif kind == "rectanglelabels":
            individual = next(iter(_texts(item)), "")
            boxes[own] = individual or (_label(item, where) if individuals else ""), pixels
        else:
            flag = 1 if "occluded" in _texts(item) else 2
            points.append((item, _label(item, where), (float(pixels[0]), float(pixels[1]), flag)))
    groups: dict[str, dict[str, Point]] = {}
    twice: set[str] = set()
    stated = [str(i.get("parentID") or parents.get(str(i.get("id")), "")) for i, _, _ in points]
    # The only rectangle is the parent of all keypoints, unless some state theirs.
    lone = next(iter(boxes), "") if len(boxes) < 2 and not boxes.keys() & set(stated) else None
    without: list[str] = []
    for (_, name, point), parent in zip(points, stated, strict=True):
        if parent in turned:
            continue  # counted with its rectangle
        if parent not in boxes:
            if lone is None:
                without.append(name)
                continue
            parent = lone
        group = groups.setdefault(parent, {})
        if name in group:
            twice.add(parent)
        group[name] = point
    if without:
        gathered.leave_out(NO_PARENT, f"{where}, {', '.join(without)}")
    found = []
    for place, (parent, group) in enumerate(groups.items(), 1):
        individual, box = boxes.get(parent, ("", None))
        if parent in twice:
            gathered.leave_out(POINT_TWICE, f"{where}, instance {place}")
        else:
            found.append((individual, box, group))
    for parent in boxes:
        if parent not in groups:
            gathered.leave_out(LONE_BOX, where)
    return found, size


def _texts(item: dict[str, Any]) -> list[str]:
    """Texts that the annotator wrote beside a region."""
    meta = item.get("meta")
    texts = meta.get("text") if isinstance(meta, dict) else None
    texts = [texts] if isinstance(texts, str) else texts
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []


def _image(task: dict[str, Any], where: str) -> tuple[str, list[str]]:
    """Path of a task's image, and other paths to try."""
    data, meta = task.get("data"), task.get("meta")
    original = meta.get("original_file") if isinstance(meta, dict) else None
    values = list(data.values()) if isinstance(data, dict) else []
    images = [v for v in values if isinstance(v, str) and _IMAGE.search(v)]
    if not images:
        raise InputError(f"{where}: its `data` has no path of an image.")
    path = images[0]
    local = re.search(r"[?&]d=([^&]+)$", path)  # a file of the server: /data/local-files/?d=...
    if local:
        path = unquote(local[1])
    path = re.sub(r"^\w+://[^/]+/", "", path).lstrip("/").replace("\\", "/")
    parts = path.split("/")
    others = ["/".join(parts[start:]) for start in range(1, len(parts))]
    uploaded = re.sub(r"^[0-9a-f]{8}-", "", parts[-1])
    return path, [*others, uploaded, *([original] if isinstance(original, str) else [])]


def write_label_studio(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write `label_studio.json`, which Label Studio imports, and its labelling configuration.

    Every instance gets a rectangle, since Label Studio has no other group: its box, or the extent
    of its keypoints.

    Raises:
      InputError: the size of an image is not known.
    """
    tasks = []
    for number_, image in enumerate(labels.images, 1):
        hw = image.image_hw or size_of(image)
        if hw is None and image.instances:
            raise InputError(
                f"{image.path}: the image's size is needed for Label Studio's percentages, and the "
                "image cannot be read. Give its folder with --images"
            )
        results = []
        for place, one in enumerate(image.instances, 1):
            assert hw is not None
            results += _written(one, f"i{number_}_{place}", hw, skeleton)
        data = {"image": f"/data/local-files/?d={quote(image.name)}"}
        tasks.append({"id": number_, "data": data, "annotations": [{"result": results}]})
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "label_studio.json", json.dumps(tasks, indent=1, allow_nan=False))
    atomic_write(out / "label_studio.xml", _configuration(skeleton))


def _written(
    instance: Instance, key: str, hw: tuple[int, int], skeleton: Skeleton
) -> list[dict[str, Any]]:
    scale = 100 / np.array([hw[1], hw[0]], np.float64)
    common = {
        "original_width": hw[1],
        "original_height": hw[0],
        "image_rotation": 0,
        "to_name": "image",
    }
    box = instance.extent(1.0) if instance.box_xywh is None else instance.box_xywh
    x, y = box[:2] * scale
    width, height = box[2:] * scale
    corner = {"x": float(x), "y": float(y), "width": float(width), "height": float(height)}
    rectangle: dict[str, Any] = {
        "id": key,
        "type": "rectanglelabels",
        "from_name": "box",
        **common,
        "value": {**corner, "rotation": 0, "rectanglelabels": [skeleton.name]},
    }
    if instance.individual:
        rectangle["meta"] = {"text": [instance.individual]}
    regions = [rectangle]
    for name, point, flag in zip(
        skeleton.keypoints, instance.keypoints, instance.visible, strict=True
    ):
        if not flag:
            continue
        x, y = point * scale
        regions.append(
            {
                "id": f"{key}_{name}",
                "parentID": key,
                "type": "keypointlabels",
                "from_name": "keypoint",
                **common,
                "value": {"x": float(x), "y": float(y), "width": 0.5, "keypointlabels": [name]},
                **({"meta": {"text": ["occluded"]}} if flag == 1 else {}),
            }
        )
    return regions


def _configuration(skeleton: Skeleton) -> str:
    """Labelling configuration with the skeleton's names."""
    from xml.sax.saxutils import quoteattr

    points = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in skeleton.keypoints)
    return (
        '<View>\n  <RectangleLabels name="box" toName="image">\n'
        f"    <Label value={quoteattr(skeleton.name)}/>\n  </RectangleLabels>\n"
        f'  <KeyPointLabels name="keypoint" toName="image">\n{points}\n  </KeyPointLabels>\n'
        '  <Image name="image" value="$image"/>\n</View>\n'
    )
