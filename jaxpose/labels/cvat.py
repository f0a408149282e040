"""CVAT's XML 1.1 ("CVAT for images", "CVAT for video"): skeletons, or points and boxes with groups.

A `<skeleton>` is an instance, named by its attribute `individual` if there is one. Lone points are
keypoints named by their labels; points and boxes with the same `group_id` are one instance, and
without groups all lone points of an image are one. Limbs are the lines of the skeleton's drawing.
Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.cvat_video import add_tracks
from jaxpose.labels.cvat_xml import (
    LONE_BOX,
    OTHER_SHAPE,
    POINT_TWICE,
    SEVERAL_POINTS,
    Parser,
    Point,
    Shape,
    Shapes,
    box_of,
    label_of,
    point_of,
    skeleton_names,
)
from jaxpose.labels.labels import Gathered, Instance, Labels
from jaxpose.labels.records import size_of
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.xml_text import parse_xml

NAME = "cvat"


def read_cvat(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read an `annotations.xml` of images or of a video.

    Args:
      path: the file.
      images: folder of the images; if None, the folder `images` beside the file, or the file's.
      outside: also read images outside the folder.

    Raises:
      InputError: the file is not as described, has different skeletons, or has no labels.
    """
    parser = Parser(path)
    parse_xml(path, parser.start, parser.end, parser.text)
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    names, limbs = skeleton_names(path, parser)
    gathered = Gathered(folder, outside, files=[path])
    kinds = {owner.kind for owner in parser.owners}
    if len(kinds) > 1:
        raise InputError(f"{path} has images and tracks. Export it as one of the two formats")
    if kinds == {"track"}:
        add_tracks(gathered, parser, names)
    for image in parser.owners if kinds == {"image"} else ():
        _add(gathered, path, image, names)
    return gathered.labels(NAME, path, names, limbs)


def _add(gathered: Gathered, path: Path, image: Shapes, names: tuple[str, ...]) -> None:
    name = image.attributes.get("name")
    if not name:
        raise InputError(f"{path}: an image has no name.")
    sides = [image.attributes.get(key, "") for key in ("height", "width")]
    known = all(re.fullmatch(r"[1-9]\d{0,8}", side) for side in sides)
    instances: list[Instance] = []
    boxes: dict[str, tuple[np.ndarray, Shape]] = {}
    # Group, individual, points and first shape of each instance.
    found: list[tuple[str, str, dict[str, Point], Shape]] = []
    lone: dict[str, tuple[str, dict[str, Point], Shape]] = {}
    twice: set[str] = set()
    for shape in image.shapes:
        group = shape.attributes.get("group_id", "")
        if shape.kind == "skeleton":
            points: dict[str, Point] = {}
            for attributes in shape.points:
                point = point_of(shape, attributes)
                if point is not None:
                    points[label_of(shape, attributes)] = point
            found.append((group, shape.individual, points, shape))
        elif shape.kind == "points":
            point = point_of(shape, shape.attributes)
            if point is None:
                gathered.leave_out(SEVERAL_POINTS, f"{shape.where}: {name}")
                continue
            _, own, _ = lone.setdefault(group, (shape.individual, {}, shape))
            if label_of(shape, shape.attributes) in own:
                twice.add(group)
            own[label_of(shape, shape.attributes)] = point
        elif shape.kind == "box":
            if group in boxes:
                gathered.leave_out("second box of a group", f"{shape.where}: {name}")
            else:
                boxes[group] = box_of(shape), shape
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
