"""CVAT's XML 1.1 of images ("CVAT for images"): skeletons, or points and boxes with groups.

A `<skeleton>` is an instance, named by its attribute `individual` if there is one. Lone points are
keypoints named by their labels; points and boxes with the same `group_id` are one instance, and
without groups all lone points of an image are one. Limbs are the lines of the skeleton's drawing.
Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat.
"""

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.labels import Gathered, Instance, Labels, number
from jaxpose.labels.records import size_of
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.xml_text import parse_xml

NAME = "cvat"
LONE_BOX = "box without keypoints"
POINT_TWICE = "point twice in one group (individuals without group_id)"
SEVERAL_POINTS = "points with several places in one shape"
OTHER_SHAPE = "shape that is no skeleton, point or box"
_SHAPES = ("skeleton", "points", "box", "polygon", "polyline", "mask", "ellipse", "cuboid", "tag")

Point = tuple[float, float, int]


@dataclass
class _Label:
    """Label of the task: its name, that of its parent, and the drawing of a skeleton."""

    name: str = ""
    parent: str = ""
    svg: str = ""


@dataclass
class _Shape:
    """Shape of an image, with the points of a skeleton."""

    kind: str
    attributes: dict[str, str]
    where: str
    individual: str = ""
    points: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Image:
    attributes: dict[str, str]
    shapes: list[_Shape] = field(default_factory=list)


class _Parser:
    """State of the parser: labels and images of the file so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: list[_Label] = []
        self.images: list[_Image] = []
        self._open: list[str] = []
        self._shape: _Shape | None = None
        self._text: list[str] = []
        self._named = False

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        if not self._open and tag != "annotations":
            raise InputError(f"{self.path} is not CVAT's XML: it begins with <{tag[:40]}>.")
        self._open.append(tag)
        self._text = []
        where = f"{self.path}, line {line}"
        if tag == "track":
            raise InputError(
                f"{where}: a track of a video. Export the task as `CVAT for images 1.1`, which has "
                "the frames as images"
            )
        if self._open[1:2] == ["meta"]:
            if tag == "label":
                self.labels.append(_Label())
        elif tag == "image" and len(self._open) == 2:
            self.images.append(_Image(attributes))
        elif self.images and len(self._open) == 3 and tag in _SHAPES:
            self._shape = _Shape(tag, attributes, where)
            self.images[-1].shapes.append(self._shape)
        elif self._shape is not None and len(self._open) == 4:
            if tag == "points" and self._shape.kind == "skeleton":
                self._shape.points.append(attributes)
            self._named = tag == "attribute" and attributes.get("name") == "individual"

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        text = "".join(self._text).strip()
        if self._open[1:2] == ["meta"] and self._open[-2:-1] == ["label"] and self.labels:
            if tag == "name":
                self.labels[-1].name = text
            elif tag == "parent":
                self.labels[-1].parent = text
            elif tag == "svg":
                self.labels[-1].svg = text
        elif self._shape is not None and len(self._open) == 4:
            if tag == "attribute" and self._named:
                self._shape.individual = text
        elif len(self._open) == 3:
            self._shape = None
        self._open.pop()
        self._text = []


def read_cvat(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read an `annotations.xml`.

    Args:
      path: the file.
      images: folder of the images; if None, the folder `images` beside the file, or the file's.
      outside: also read images outside the folder.

    Raises:
      InputError: the file is not as described, has different skeletons, or has no labels.
    """
    parser = _Parser(path)
    parse_xml(path, parser.start, parser.end, parser.text)
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    names, limbs = _skeleton(path, parser)
    gathered = Gathered(folder, outside, files=[path])
    for image in parser.images:
        _add(gathered, path, image, names)
    return gathered.labels(NAME, path, names, limbs)


def _skeleton(path: Path, parser: _Parser) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Names and limbs of the one skeleton, or the labels of lone points."""
    parts: dict[str, list[str]] = {}
    for label in parser.labels:
        if label.parent:
            parts.setdefault(label.parent, []).append(label.name)
    used = {s.attributes.get("label") for i in parser.images for s in i.shapes}
    wanted = {name: own for name, own in parts.items() if name in used}
    lists = list(wanted.values())
    for name, own in list(wanted.items())[1:]:
        if set(own) != set(lists[0]):
            raise InputError(
                f"{path}: mixed skeletons: {next(iter(wanted))!r} has the keypoints "
                f"{', '.join(lists[0])}, and {name!r} {', '.join(own)}. Export each label alone"
            )
    names = dict.fromkeys(lists[0]) if lists else {}
    for image in parser.images:
        for shape in image.shapes:
            found = [shape.attributes] if shape.kind == "points" else shape.points
            names |= dict.fromkeys(_name(shape, point) for point in found)
    svg = next((label.svg for label in parser.labels if label.name in wanted), "")
    return tuple(names), _limbs(svg)


def _limbs(svg: str) -> list[tuple[str, str]]:
    """Limbs of a skeleton's drawing, whose nodes have numbers and names."""
    nodes: dict[str, str] = {}
    edges = []
    for tag in re.findall(r"<(?:line|circle)\b[^<>]{0,2000}>", unescape(svg)):
        values = dict(re.findall(r'\b(data-[a-z-]+)="([^"]*)"', tag))
        if "data-label-name" in values and "data-node-id" in values:
            nodes[values["data-node-id"]] = values["data-label-name"]
        elif "data-node-from" in values and "data-node-to" in values:
            edges.append((values["data-node-from"], values["data-node-to"]))
    return [(nodes[a], nodes[b]) for a, b in edges if a in nodes and b in nodes]


def _name(shape: _Shape, point: dict[str, str]) -> str:
    if not point.get("label"):
        raise InputError(f"{shape.where}: a point has no label.")
    return point["label"]


def _point(shape: _Shape, attributes: dict[str, str]) -> Point | None:
    """Place and flag of a point; None for several places in one shape."""
    text = attributes.get("points", "")
    if ";" in text:
        return None
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError(f"{shape.where}: the place of a point is {text[:40]!r}, not x,y.")
    x, y = (number(part, shape.where) for part in parts)
    outside, occluded = (attributes.get(key) == "1" for key in ("outside", "occluded"))
    return x, y, 0 if outside else 1 if occluded else 2


def _box(shape: _Shape) -> np.ndarray:
    corners = [
        number(shape.attributes.get(key, ""), f"{shape.where}, {key}")
        for key in ("xtl", "ytl", "xbr", "ybr")
    ]
    low, high = np.array(corners[:2]), np.array(corners[2:])
    return np.concatenate([low, high - low])


def _add(gathered: Gathered, path: Path, image: _Image, names: tuple[str, ...]) -> None:
    name = image.attributes.get("name")
    if not name:
        raise InputError(f"{path}: an image has no name.")
    sides = [image.attributes.get(key, "") for key in ("height", "width")]
    known = all(re.fullmatch(r"[1-9]\d{0,8}", side) for side in sides)
    instances: list[Instance] = []
    boxes: dict[str, tuple[np.ndarray, _Shape]] = {}
    # Group, individual, points and first shape of each instance.
    found: list[tuple[str, str, dict[str, Point], _Shape]] = []
    lone: dict[str, tuple[str, dict[str, Point], _Shape]] = {}
    twice: set[str] = set()
    for shape in image.shapes:
        group = shape.attributes.get("group_id", "")
        if shape.kind == "skeleton":
            points: dict[str, Point] = {}
            for attributes in shape.points:
                point = _point(shape, attributes)
                if point is not None:
                    points[_name(shape, attributes)] = point
            found.append((group, shape.individual, points, shape))
        elif shape.kind == "points":
            point = _point(shape, shape.attributes)
            if point is None:
                gathered.leave_out(SEVERAL_POINTS, f"{shape.where}: {name}")
                continue
            _, own, _ = lone.setdefault(group, (shape.individual, {}, shape))
            if _name(shape, shape.attributes) in own:
                twice.add(group)
            own[_name(shape, shape.attributes)] = point
        elif shape.kind == "box":
            if group in boxes:
                gathered.leave_out("second box of a group", f"{shape.where}: {name}")
            else:
                boxes[group] = _box(shape), shape
        else:
            gathered.leave_out(OTHER_SHAPE, f"{shape.where}: {shape.kind} in {name}")
    for group, (individual, points, shape) in lone.items():
        if group in twice:
            gathered.leave_out(POINT_TWICE, f"{shape.where}: {name}")
        else:
            found.append((group, individual, points, shape))
    if len(found) == len(boxes) == 1:  # the only box belongs to the only instance
        boxes = {found[0][0]: next(iter(boxes.values()))}
    for group, individual, points, shape in found:
        box, marked = boxes.pop(group, (None, shape)) if group or len(found) == 1 else (None, shape)
        individual = individual or marked.individual
        instances.append(Instance.of(names, points, shape.where, individual, box))
    for _, shape in boxes.values():
        gathered.leave_out(LONE_BOX, f"{shape.where}: {name}")
    size = (int(sides[0]), int(sides[1])) if known else None
    last = name.replace("\\", "/").rpartition("/")[2]
    gathered.add(name, instances, others=(last,), image_hw=size)


def write_cvat(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write `annotations.xml` with a skeleton for each instance, and its box in the same group.

    Raises:
      InputError: the size of an image is not known.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines += _meta(skeleton)
    for number_, image in enumerate(labels.images):
        hw = image.image_hw or size_of(image)
        if hw is None:
            raise InputError(
                f"{image.path}: the image's size is needed for CVAT, and the image cannot be read. "
                "Give its folder with --images"
            )
        lines.append(
            f'  <image id="{number_}" name={quoteattr(image.name)} width="{hw[1]}" '
            f'height="{hw[0]}">'
        )
        for group, one in enumerate(image.instances, 1):
            lines += _instance(one, group, skeleton)
        lines.append("  </image>")
    lines.append("</annotations>")
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "annotations.xml", "\n".join(lines) + "\n")


def _meta(skeleton: Skeleton) -> list[str]:
    """Labels of the task: the skeleton, with its drawing on a circle, and its keypoints."""
    count = skeleton.num_keypoints
    angles = np.arange(count) * 2 * np.pi / count
    places = np.stack([50 + 40 * np.sin(angles), 50 - 40 * np.cos(angles)], axis=-1)
    svg = [
        f'<line x1="{places[a][0]:.1f}" y1="{places[a][1]:.1f}" x2="{places[b][0]:.1f}" '
        f'y2="{places[b][1]:.1f}" data-type="edge" data-node-from="{a + 1}" '
        f'data-node-to="{b + 1}"></line>'
        for a, b in skeleton.limb_indices
    ]
    svg += [
        f'<circle r="1.5" cx="{places[n][0]:.1f}" cy="{places[n][1]:.1f}" '
        f'data-type="element node" data-element-id="{n + 1}" data-node-id="{n + 1}" '
        f"data-label-name={quoteattr(name)}></circle>"
        for n, name in enumerate(skeleton.keypoints)
    ]
    name = escape(skeleton.name)
    attribute = (
        "<attribute><name>individual</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )
    lines = ["  <meta><task><labels>"]
    lines.append(
        f"    <label><name>{name}</name><type>skeleton</type><attributes>{attribute}</attributes>"
        f"<svg>{escape(''.join(svg))}</svg></label>"
    )
    lines += [
        f"    <label><name>{escape(point)}</name><type>points</type><attributes/>"
        f"<parent>{name}</parent></label>"
        for point in skeleton.keypoints
    ]
    return [*lines, "  </labels></task></meta>"]


def _instance(instance: Instance, group: int, skeleton: Skeleton) -> list[str]:
    label = quoteattr(skeleton.name)
    lines = [f'    <skeleton label={label} source="manual" z_order="0" group_id="{group}">']
    for name, point, flag in zip(
        skeleton.keypoints, instance.keypoints, instance.visible, strict=True
    ):
        x, y = point if flag else (0.0, 0.0)
        lines.append(
            f'      <points label={quoteattr(name)} source="manual" outside="{int(flag == 0)}" '
            f'occluded="{int(flag == 1)}" points="{x:.6f},{y:.6f}"></points>'
        )
    if instance.individual:
        lines.append(
            f'      <attribute name="individual">{escape(instance.individual)}</attribute>'
        )
    lines.append("    </skeleton>")
    if instance.box_xywh is not None:
        x, y, width, height = instance.box_xywh
        lines.append(
            f'    <box label={label} source="manual" occluded="0" xtl="{x:.6f}" ytl="{y:.6f}" '
            f'xbr="{x + width:.6f}" ybr="{y + height:.6f}" z_order="0" group_id="{group}"></box>'
        )
    return lines
