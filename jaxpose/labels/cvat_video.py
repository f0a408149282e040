"""Tracks of "CVAT for video": labels at the frames that a person set, the keyframes.

A track of a skeleton is an individual. Tracks of lone points with one `group_id` are the keypoints
of one individual, or all of them without groups. CVAT places the points between keyframes by
interpolation; such frames are counted and left out.
"""

from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
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
)
from jaxpose.labels.labels import Gathered, Instance, VideoFrame
from jaxpose.paths import is_file

BETWEEN = "frame between keyframes"


class _Individual:
    """Shapes of an individual in one frame."""

    def __init__(self, name: str, where: str) -> None:
        self.name, self.where = name, where
        self.points: dict[str, Point] = {}
        self.box: np.ndarray | None = None
        self.is_key = self.twice = False

    def add(self, label: str, point: Point) -> None:
        self.twice |= label in self.points
        self.points[label] = point


def add_tracks(gathered: Gathered, parser: Parser, names: tuple[str, ...]) -> None:
    """Add the keyframes of a file's tracks, by frame.

    Raises:
      InputError: a shape has no number of its frame, or a point no place.
    """
    frames: dict[int, dict[str, _Individual]] = {}
    for number, track in enumerate(parser.owners):
        group = track.attributes.get("group_id")
        key = f"group{group}" if group else ""
        if not group and any(shape.kind == "skeleton" for shape in track.shapes):
            key = f"track{track.attributes.get('id', number)}"
        for shape in track.shapes:
            text = shape.attributes.get("frame", "")
            if not text.isdecimal() or len(text) > 9:
                raise InputError(f"{shape.where}: the number of its frame is {text[:40]!r}.")
            own = frames.setdefault(int(text), {})
            one = own.setdefault(key, _Individual(key, shape.where))
            _take(gathered, one, track, shape)
    source = parser.source.replace("\\", "/").rpartition("/")[2]
    file = gathered.folder / source if source else gathered.folder
    if source and not is_file(file):
        gathered.notes.append(f"the video {file} does not exist; --images gives its folder")
    stem = Path(source).stem or "frames"
    sides = [parser.size.get(side, "") for side in ("height", "width")]
    known = all(side.isdecimal() and int(side[:9]) > 0 for side in sides)
    hw = (int(sides[0][:9]), int(sides[1][:9])) if known else None
    for index in sorted(frames):
        own = frames[index]
        if not any(one.is_key for one in own.values()):
            for one in own.values():
                gathered.leave_out(BETWEEN, one.where, fault=False)
            continue
        boxes = [key for key, one in own.items() if not one.points]
        if len(own) == 2 and len(boxes) == 1:  # the only box belongs to the only individual
            (other,) = (one for one in own.values() if one.points)
            other.box = own.pop(boxes[0]).box
        instances = []
        for one in own.values():
            if one.twice or not one.points:
                gathered.leave_out(POINT_TWICE if one.twice else LONE_BOX, one.where)
            else:
                instances.append(Instance.of(names, one.points, one.where, one.name, one.box))
        # CVAT ends each track with a frame in which it is outside.
        instances = [one for one in instances if one.visible.any()]
        if not instances:
            continue
        # CVAT names the frames so when it exports them with the annotations.
        exported = f"frame_{index:06d}"
        files = [f"{exported}.PNG", f"{exported}.png"]
        others = [*files, *(f"images/{one}" for one in files)]
        frame = VideoFrame(file, index) if source and gathered.takes(file) else None
        name = f"{stem}/img{index:04d}.png"
        gathered.add(name, instances, others=others, image_hw=hw, frame=frame)


def _take(gathered: Gathered, one: _Individual, track: Shapes, shape: Shape) -> None:
    """Take the points or the box of a shape; points of a skeleton that is outside have no label."""
    one.name = shape.individual or one.name
    gone = shape.attributes.get("outside") == "1"
    shapes = [shape.attributes, *shape.points]
    one.is_key |= any(own.get("keyframe") == "1" for own in shapes)
    if shape.kind == "skeleton":
        for attributes in shape.points:
            point = point_of(shape, attributes)
            if point is not None:
                one.add(label_of(shape, attributes), (*point[:2], 0 if gone else point[2]))
    elif shape.kind == "points":
        point = point_of(shape, shape.attributes)
        if point is None:
            gathered.leave_out(SEVERAL_POINTS, shape.where)
        else:
            one.add(label_of(shape, track.attributes), point)
    elif shape.kind == "box":
        one.box = None if gone else box_of(shape)
    else:
        gathered.leave_out(OTHER_SHAPE, f"{shape.where}: {shape.kind}")
