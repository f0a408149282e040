"""SLEAP's labels: `.slp`, and `.pkg.slp` with the labelled frames inside, both HDF5.

Labels of a person are read; predictions of SLEAP's models are counted, and read if they are asked
for. A track is an individual. A point that is not visible is not labelled, as in SLEAP's training.
Coordinates have the centre of the upper left pixel at 0; files before format 1.1 have its corner
there, and are shifted. Format: sleap-io, sleap_io/io/slp.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.hdf5 import array, attribute, members, open_hdf5, parsed, texts
from jaxpose.labels.labels import Gathered, Instance, Labels, VideoFrame
from jaxpose.paths import is_file
from jaxpose.results.image_names import ImageNames
from jaxpose.skeletons.names import plain_name

NAME = "sleap"
PREDICTED = "prediction, without --predicted"
CORRECTED = "prediction that was corrected"
NO_FRAME = "frame that its video does not have"
OTHER_VIDEO = "frame of a kind of video that is not read"

NEWEST = 3.0
"""Format from which on the tables have another form."""

_CENTRED = 1.1
"""Format from which on the origin is the centre of a pixel."""

_USER, _PREDICTED = 0, 1
_EDGE, _SYMMETRY = 1, 2


@dataclass(frozen=True)
class _Skeleton:
    """Skeleton of a file: names, limbs, and (left, right) pairs."""

    names: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Row:
    """Row of the table of instances: its skeleton's place, and what the instance is made of."""

    skeleton: int
    points: np.ndarray
    where: str
    individual: str
    predicted: bool


@dataclass(frozen=True)
class _Video:
    """Video of a file.

    Attributes:
      stated: path of the video as the file states it; empty for frames inside the file.
      images: paths of the images of an image sequence.
      group: group of the frames inside the file.
      hw: height and width; None if they are not stated.
    """

    stated: str = ""
    images: tuple[str, ...] = ()
    group: str = ""
    hw: tuple[int, int] | None = None


def read_sleap(
    path: Path, images: Path | None = None, *, outside: bool = False, predicted: bool = False
) -> Labels:
    """Read a `.slp` or `.pkg.slp` file.

    Args:
      path: the file.
      images: folder of the videos and images; if None, that of the file. A path that the file
        states is found there by its last parts.
      outside: also read videos and images where the file states them.
      predicted: also take predictions of SLEAP's models from which no label was made.

    Raises:
      InputError: the file is not as described, is of a newer format, has different skeletons, or
        has no labels.
    """
    gathered = Gathered(images or path.parent, outside, files=[path])
    with open_hdf5(path) as file:
        if "metadata" not in members(file) or "json" not in file["metadata"].attrs:
            raise InputError(f"{path} is not SLEAP's: it has no attribute `json` in `metadata`.")
        version = attribute(file["metadata"], "format_id", path)
        version = 1.0 if version is None else version
        if not isinstance(version, int | float) or not 1 <= version < NEWEST:
            raise InputError(
                f"{path} has SLEAP's format {str(version)[:20]}, and formats 1 to below "
                f"{NEWEST:g} are read. Save it in such a format with sleap-io"
            )
        where = f"{path}: the metadata"
        skeletons = _skeletons(parsed(attribute(file["metadata"], "json", path), where), where)
        tracks = [_track(path, text) for text in texts(file, "tracks_json", path)]
        videos = [_video(path, text) for text in texts(file, "videos_json", path)]
        tables = _Tables(
            _columns(file, "frames", path, "video frame_idx instance_id_start instance_id_end"),
            _columns(
                *(file, "instances", path),
                "instance_id instance_type skeleton track from_predicted point_id_start "
                "point_id_end",
            ),
            _points(file, "points", path, version),
            _points(file, "pred_points", path, version),
        )
    frames = _frames(path, tables, skeletons, tracks, predicted, gathered)
    places = sorted({row.skeleton for _, _, own in frames for row in own})
    used = [skeletons[place] for place in places]
    names = _one_skeleton(path, used or skeletons)
    _add(gathered, path, videos, frames, skeletons, names)
    first = used[0] if used else _Skeleton((), (), ())
    return gathered.labels(NAME, path, names, first.limbs, first.pairs or None)


def _skeletons(metadata: Any, where: str) -> list[_Skeleton]:
    """Skeletons of the metadata, whose nodes and links are places in the list of all nodes.

    Raises:
      InputError: the metadata are not of this form.
    """
    try:
        nodes = [node["name"] for node in metadata["nodes"]]
        found = []
        for skeleton in metadata["skeletons"]:
            graph = skeleton.get("nx_graph", skeleton)
            places = [node["id"] for node in graph["nodes"]]
            links: dict[int, list[tuple[str, str]]] = {_EDGE: [], _SYMMETRY: []}
            kinds: list[int] = []  # jsonpickle numbers the objects that it has written
            for link in graph["links"]:
                kind = link["type"]
                if "py/reduce" in kind:
                    kinds.append(kind["py/reduce"][1]["py/tuple"][0])
                    kind = kinds[-1]
                else:
                    place = kind["py/id"]
                    kind = kinds[place - 1] if 1 <= place <= len(kinds) else place
                links[kind].append((nodes[link["source"]], nodes[link["target"]]))
            names = tuple(nodes[place] for place in places)
            sides = dict.fromkeys(frozenset(pair) for pair in links[_SYMMETRY])
            pairs = [tuple(sorted(pair)) for pair in sides if len(pair) == 2]
            if not all(isinstance(name, str) and name for name in names) or not names:
                raise TypeError("a node without a name")
            found.append(_Skeleton(names, tuple(links[_EDGE]), tuple(map(_left_first, pairs))))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        reason = f"{type(error).__name__}: {str(error)[:60]}"
        raise InputError(f"{where} have no skeletons of SLEAP's form ({reason}).") from None
    if not found:
        raise InputError(f"{where} have no skeleton.")
    return found


def _left_first(pair: tuple[str, ...]) -> tuple[str, str]:
    """Pair of names with the left one first, where the names state it."""
    first, second = pair
    is_right = plain_name(first).startswith("right_")
    return (second, first) if is_right else (first, second)


def _one_skeleton(path: Path, used: list[_Skeleton]) -> tuple[str, ...]:
    for other in used[1:]:
        if set(other.names) != set(used[0].names):
            raise InputError(
                f"{path}: mixed skeletons: one has the keypoints {', '.join(used[0].names)}, and "
                f"another one {', '.join(other.names)}. Export the labels of each alone"
            )
    return used[0].names


def _track(path: Path, text: str) -> str:
    content = parsed(text, f"{path}: tracks_json")
    if not isinstance(content, list) or len(content) < 2:
        raise InputError(f"{path}: tracks_json has the track {text[:40]!r}, which has no name.")
    return str(content[1])


def _video(path: Path, text: str) -> _Video:
    content = parsed(text, f"{path}: videos_json")
    backend = content.get("backend") if isinstance(content, dict) else None
    if not isinstance(backend, dict):
        raise InputError(f"{path}: videos_json has the video {text[:40]!r} without `backend`.")
    stated = backend.get("filename", content.get("filename"))
    listed = backend.get("filenames") or (stated if isinstance(stated, list) else None)
    shape, group = backend.get("shape"), backend.get("dataset")
    hw = None
    if isinstance(shape, list) and len(shape) == 4:
        sides = shape[1:3]
        hw = tuple(sides) if all(type(one) is int and 0 < one < 2**31 for one in sides) else None
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        return _Video(images=tuple(listed), hw=hw)
    if not isinstance(stated, str) or not stated:
        raise InputError(f"{path}: videos_json has the video {text[:40]!r} without a file name.")
    if stated == ".":
        if not isinstance(group, str) or not group:
            raise InputError(f"{path}: videos_json has frames inside the file without `dataset`.")
        return _Video(group=group.removesuffix("/video"), hw=hw)
    return _Video("" if group else stated, hw=hw)


def _columns(file: Any, name: str, path: Path, fields: str) -> dict[str, list[int]]:
    """Columns of whole numbers of a table.

    Raises:
      InputError: a column is absent or has other values.
    """
    table = array(file, name, path)
    found = {}
    for field in fields.split():
        if table.dtype.names is None or field not in table.dtype.names or table.ndim != 1:
            raise InputError(f"{path}: the table `{name}` has no column `{field}`.")
        column = table[field]
        if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
            raise InputError(f"{path}: the column `{field}` of `{name}` has no whole numbers.")
        found[field] = [int(value) for value in column.tolist()]
    return found


def _points(file: Any, name: str, path: Path, version: float) -> np.ndarray:
    """Points `[N, 4]` of a table: x, y, visible, and the score (1 without one)."""
    if name not in members(file):
        return np.zeros((0, 4))
    table = array(file, name, path)
    names = table.dtype.names or ()
    if table.ndim != 1 or not {"x", "y", "visible"} <= set(names):
        raise InputError(f"{path}: the table `{name}` has no columns x, y and visible.")
    used = [field for field in ("x", "y", "visible", "score") if field in names]
    columns = [table[field] for field in used]
    if any(one.shape != table.shape or one.dtype.kind not in "biuf" for one in columns):
        raise InputError(f"{path}: a column of the table `{name}` has no numbers.")
    columns = [one.astype(np.float64) for one in columns]
    columns += [np.ones(len(table))] * (4 - len(columns))
    points = np.stack(columns, axis=1)
    points[:, :2] -= 0.0 if version >= _CENTRED else 0.5
    points[~(np.abs(points[:, :2]) < 1e9).all(axis=1), 2] = 0  # NaN where not labelled
    return points


@dataclass(frozen=True)
class _Tables:
    """Tables of a file."""

    frames: dict[str, list[int]]
    instances: dict[str, list[int]]
    points: np.ndarray
    pred_points: np.ndarray


def _frames(
    path: Path,
    tables: _Tables,
    skeletons: list[_Skeleton],
    tracks: list[str],
    predicted: bool,
    gathered: Gathered,
) -> list[tuple[int, int, list[_Row]]]:
    """Video, number in it and instances of each frame.

    Raises:
      InputError: a row refers to one that does not exist.
    """
    rows = list(zip(*tables.instances.values(), strict=True))
    made_from = {row[4] for row in rows if row[1] == _USER}
    found = []
    for number, (video, index, start, end) in enumerate(zip(*tables.frames.values(), strict=True)):
        where = f"{path}, frame row {number}"
        if not 0 <= start <= end <= len(rows) or index < 0:
            raise InputError(f"{where}: it has instances {start} to {end} of {len(rows)}.")
        own: list[_Row] = []
        left = False
        for place in range(start, end):
            one_id, kind, skeleton, track, _, first, last = rows[place]
            if kind not in (_USER, _PREDICTED):
                raise InputError(f"{path}, instance row {place}: it has the type {kind}.")
            table = tables.points if kind == _USER else tables.pred_points
            if not 0 <= skeleton < len(skeletons) or track >= len(tracks):
                raise InputError(f"{path}, instance row {place}: its skeleton or track is absent.")
            count = len(skeletons[skeleton].names)
            if last - first != count or not 0 <= first <= last <= len(table):
                raise InputError(
                    f"{path}, instance row {place}: it has points {first} to {last} of "
                    f"{len(table)}, and its skeleton {count} keypoints."
                )
            said = f"{path}, instance {place}"
            if kind == _PREDICTED and (not predicted or one_id in made_from):
                gathered.leave_out(CORRECTED if predicted else PREDICTED, said, fault=False)
                left = True
                continue
            individual = tracks[track] if track >= 0 else ""
            own.append(_Row(skeleton, table[first:last], said, individual, kind == _PREDICTED))
        if own or not left:  # a frame with predictions alone is not empty
            found.append((video, index, own))
    return found


def _add(
    gathered: Gathered,
    path: Path,
    videos: list[_Video],
    frames: list[tuple[int, int, list[_Row]]],
    skeletons: list[_Skeleton],
    names: tuple[str, ...],
) -> None:
    by_id = _by_id(videos, {video for video, _, _ in frames})
    found = [_found(gathered, video.stated) if video.stated else "" for video in videos]
    stems = ImageNames([Path(one) for one in found if one])
    absent: dict[str, None] = {}
    for number, (video_id, index, own) in enumerate(frames):
        place = by_id.get(video_id)
        if place is None:
            raise InputError(f"{path}, frame row {number}: video {video_id} is not in the file.")
        video = videos[place]
        instances = [_instance(names, skeletons[row.skeleton].names, row) for row in own]
        if video.images:
            if index >= len(video.images):
                for one in instances:
                    gathered.leave_out(NO_FRAME, f"{one.where}: image {index}")
                continue
            name = _found(gathered, video.images[index])
            gathered.add(name, instances, image_hw=video.hw)
            continue
        if video.group:
            frame = VideoFrame(path, index, video.group)
            stem = f"{path.name.partition('.')[0]}-{video.group.replace('/', '-')}"
        elif video.stated:
            file = gathered.folder / found[place]
            if not is_file(file):
                absent[str(file)] = None
            frame = VideoFrame(file, index)
            stem = stems.stem(found[place])
        else:
            for one in instances:
                gathered.leave_out(OTHER_VIDEO, one.where)
            continue
        name = f"{stem}/img{index:04d}.png"
        written = is_file(gathered.folder / name)
        if not written and not gathered.takes(frame.video):
            gathered.add(found[place], instances)  # counts them as outside the folder
            continue
        gathered.add(name, instances, image_hw=video.hw, frame=frame)
    if absent:
        first = next(iter(absent))
        gathered.notes.append(
            f"{len(absent)} videos do not exist here, such as {first}; --images gives their folder"
        )


def _by_id(videos: list[_Video], used: set[int]) -> dict[int, int]:
    """Places of the videos by the ids in the table of frames.

    An id is a place in the list, or else, for frames inside the file, the number in their group
    (`video15`): packages of a part of a project keep the project's numbers.
    """
    plain = {place: place for place in range(len(videos))}
    if used <= set(plain) and (len(used) == len(videos) or not any(one.group for one in videos)):
        return plain
    for place, video in enumerate(videos):
        number = re.fullmatch(r"video(\d{1,9})", video.group)
        if number:
            plain[int(number[1])] = place
    return plain


def _found(gathered: Gathered, stated: str) -> str:
    """Path of a stated file, relative to the folder, or the stated one if it lies elsewhere.

    SLEAP states paths of the machine on which the labels were made, so the longest end of a path
    that exists in the folder is taken.
    """
    plain = stated.replace("\\", "/")
    parts = [part for part in PurePosixPath(plain).parts if part not in ("/", "..")]
    parts = [part for part in parts if not re.fullmatch(r"[A-Za-z]:", part)]
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        if is_file(gathered.folder / name):
            return name
    return plain if is_file(gathered.folder / plain) else (parts or [plain])[-1]


def _instance(names: tuple[str, ...], own: tuple[str, ...], row: _Row) -> Instance:
    """Instance with the keypoints `names`, of a row whose points have the names `own`."""
    points = row.points[[own.index(name) for name in names]]
    visible = np.where(points[:, 2] > 0, 2, 0)
    places = np.where(visible[:, None] > 0, points[:, :2], np.nan)
    scores = points[:, 3] if row.predicted else None
    return Instance(places, visible, row.where, row.individual, None, scores)
