"""Labels, images and tracks of CVAT's XML 1.1, as the file has them.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat.
"""

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.labels import number

LONE_BOX = "box without keypoints"
POINT_TWICE = "point twice in one group (individuals without group_id)"
SEVERAL_POINTS = "points with several places in one shape"
OTHER_SHAPE = "shape that is no skeleton, point or box"
_SHAPES = ("skeleton", "points", "box", "polygon", "polyline", "mask", "ellipse", "cuboid", "tag")

Point = tuple[float, float, int]


@dataclass
class Label:
    """Label of the task: its name, that of its parent, and the drawing of a skeleton."""

    name: str = ""
    parent: str = ""
    svg: str = ""


@dataclass
class Shape:
    """Shape of an image, with the points of a skeleton."""

    kind: str
    attributes: dict[str, str]
    where: str
    individual: str = ""
    points: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Shapes:
    """Image or track with its shapes, as `kind` states.

    Attributes:
      kind: `image` or `track`.
      attributes: of the element.
      shapes: of the image, or one for each frame of the track.
    """

    kind: str
    attributes: dict[str, str]
    shapes: list[Shape] = field(default_factory=list)


class Parser:
    """State of the parser: content of the file so far.

    Attributes:
      labels: labels of the task.
      owners: images and tracks.
      source: name of the video; empty if it is not stated.
      size: `width` and `height` of its frames, where they are stated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: list[Label] = []
        self.owners: list[Shapes] = []
        self.source = ""
        self.size: dict[str, str] = {}
        self._open: list[str] = []
        self._shape: Shape | None = None
        self._text: list[str] = []
        self._named = False

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        if not self._open and tag != "annotations":
            raise InputError(f"{self.path} is not CVAT's XML: it begins with <{tag[:40]}>.")
        self._open.append(tag)
        self._text = []
        where = f"{self.path}, line {line}"
        if self._open[1:2] == ["meta"]:
            if tag == "label":
                self.labels.append(Label())
        elif tag in ("image", "track") and len(self._open) == 2:
            self.owners.append(Shapes(tag, attributes))
        elif self.owners and len(self._open) == 3 and tag in _SHAPES:
            self._shape = Shape(tag, attributes, where)
            self.owners[-1].shapes.append(self._shape)
        elif self._shape is not None and len(self._open) == 4:
            if tag == "points" and self._shape.kind == "skeleton":
                self._shape.points.append(attributes)
            self._named = tag == "attribute" and attributes.get("name") == "individual"

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        text = "".join(self._text).strip()
        if self._open[1:2] == ["meta"] and tag == "source":
            self.source = text
        elif self._open[-2:-1] == ["original_size"]:
            self.size[tag] = text
        elif self._open[1:2] == ["meta"] and self._open[-2:-1] == ["label"] and self.labels:
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


def skeleton_names(path: Path, parser: Parser) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Names and limbs of the one skeleton, or the labels of lone points."""
    parts: dict[str, list[str]] = {}
    for label in parser.labels:
        if label.parent:
            parts.setdefault(label.parent, []).append(label.name)
    tracks = [owner for owner in parser.owners if any(s.kind == "skeleton" for s in owner.shapes)]
    used = {owner.attributes.get("label") for owner in tracks}
    used |= {s.attributes.get("label") for owner in parser.owners for s in owner.shapes}
    wanted = {name: own for name, own in parts.items() if name in used}
    lists = list(wanted.values())
    for name, own in list(wanted.items())[1:]:
        if set(own) != set(lists[0]):
            raise InputError(
                f"{path}: mixed skeletons: {next(iter(wanted))!r} has the keypoints "
                f"{', '.join(lists[0])}, and {name!r} {', '.join(own)}. Export each label alone"
            )
    names = dict.fromkeys(lists[0]) if lists else {}
    for owner in parser.owners:
        for shape in owner.shapes:
            if shape.kind == "points" and owner.kind == "track":
                names[label_of(shape, owner.attributes)] = None  # the track has the label
                continue
            found = [shape.attributes] if shape.kind == "points" else shape.points
            names |= dict.fromkeys(label_of(shape, point) for point in found)
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


def label_of(shape: Shape, point: dict[str, str]) -> str:
    if not point.get("label"):
        raise InputError(f"{shape.where}: a point has no label.")
    return point["label"]


def point_of(shape: Shape, attributes: dict[str, str]) -> Point | None:
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


def box_of(shape: Shape) -> np.ndarray:
    corners = [
        number(shape.attributes.get(key, ""), f"{shape.where}, {key}")
        for key in ("xtl", "ytl", "xbr", "ybr")
    ]
    low, high = np.array(corners[:2]), np.array(corners[2:])
    return np.concatenate([low, high - low])
