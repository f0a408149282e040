"""Readers and writers of common calibration files; cameras are in millimetres."""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import cv2
import numpy as np

from jaxpose.errors import InputError, nearest
from jaxpose.file_limits import SETTINGS, check_bytes, read_text, read_toml
from jaxpose.geometry.cameras import Camera, check_cameras, pinhole, stack
from jaxpose.json_text import parse_json
from jaxpose.paths import atomic_write

P = ParamSpec("P")

_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


@dataclass(frozen=True)
class Rig:
    """Named cameras of one place.

    Attributes:
      names: V names.
      cameras: `[V]`, float64, mm.
      size_wh: `[V, 2]` int width and height of the images, or None where the file does not state
        them.

    Raises:
      InputError: as `check_cameras`, with the names.
    """

    names: tuple[str, ...]
    cameras: Camera
    size_wh: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_cameras(self.cameras, self.names)

    def camera(self, name: str) -> Camera:
        """Camera with that name; InputError if there is none."""
        if name not in self.names:
            raise InputError(f"no camera {name!r} among {self.names}.{nearest(name, self.names)}")
        return self.cameras.take(self.names.index(name))


def _of_this_kind(read: Callable[P, Rig]) -> Callable[P, Rig]:
    """Decorator of a reader: content of another layout is an `InputError` with the path."""

    @functools.wraps(read)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Rig:
        try:
            return read(*args, **kwargs)
        except (InputError, FileNotFoundError):
            raise
        except (
            *(LookupError, TypeError, ValueError, AttributeError, OverflowError, SystemError),
            *(MemoryError, cv2.error),
        ) as error:
            path = next(iter((*args, *kwargs.values())))
            reason = (str(error).splitlines() or [""])[0][:200]
            raise InputError(
                f"{path} is not a calibration of this kind: {type(error).__name__}: {reason}"
            ) from error

    return checked


@_of_this_kind
def read_h36m(path: Path | str, subject: str) -> Rig:
    """Reads Human3.6M's cameras for a subject, from JSON with `intrinsics` and `extrinsics` (mm).

    Raises:
      FileNotFoundError: no such file.
      InputError: not that layout, or no such subject. All readers here raise the same.
    """
    document = _json(path)
    placed = _field(document, "extrinsics", path)
    if not isinstance(placed, dict) or subject not in placed:
        raise InputError(f"{path} has no subject {subject!r}.{nearest(subject, placed)}")
    rows = {}
    for name, view in placed[subject].items():
        lens = _field(_field(document, "intrinsics", path), name, path)
        rows[name] = (lens["calibration_matrix"], view["R"], view["t"], lens["distortion"], None)
    return _rig(rows, path)


@_of_this_kind
def read_panoptic(path: Path | str, kind: str = "hd") -> Rig:
    """Reads CMU Panoptic's `calibration_*.json` (cm): cameras `hd`, `vga` or `kinect-color`."""
    rows = {}
    for view in _field(_json(path), "cameras", path):
        if view.get("type") == kind:
            t = 10.0 * np.asarray(view["t"], float)
            rows[view["name"]] = (view["K"], view["R"], t, view["distCoef"], view["resolution"])
    return _rig(rows, path)


@_of_this_kind
def read_voxelpose(path: Path | str) -> Rig:
    """Reads Campus's and Shelf's JSON in VoxelPose's layout: T (mm) is the camera's position."""
    rows = {}
    for name, view in _json(path).items():
        R, position = np.asarray(_field(view, "R", path)), np.asarray(view["T"], float).ravel()
        K = [[view["fx"], 0, view["cx"]], [0, view["fy"], view["cy"]], [0, 0, 1]]
        (k1, k2, k3), (p1, p2) = np.ravel(view["k"]), np.ravel(view["p"])
        rows[name] = (K, R, -R @ position, [k1, k2, p1, p2, k3], None)
    return _rig(rows, path)


@_of_this_kind
def read_pose2sim(path: Path | str) -> Rig:
    """Reads Pose2Sim's `Calib.toml`: Rodrigues vectors, translations in metres.

    Raises:
      InputError: also for fisheye lenses, which this camera model cannot represent.
    """
    document = read_toml(Path(path))
    rows = {}
    for name, view in document.items():
        if name == "metadata" or not isinstance(view, dict):
            continue
        if view.get("fisheye"):
            raise InputError(f"{path}: camera {name!r} is a fisheye, which has another lens model")
        R = cv2.Rodrigues(np.asarray(_field(view, "rotation", path), float))[0]
        t = 1000.0 * np.asarray(_field(view, "translation", path), float)
        label = str(view.get("name", name))
        rows[label] = (view["matrix"], R, t, view["distortions"], view.get("size"))
    return _rig(rows, path)


def write_pose2sim(path: Path | str, rig: Rig) -> None:
    """Writes what `read_pose2sim` reads; k3 is kept as the fifth distortion term.

    Raises:
      InputError: a rig without the sizes of its images.
    """
    if rig.size_wh is None:
        raise InputError("Pose2Sim needs the size of each camera's images; the rig has none")
    lines = []
    for index, name in enumerate(rig.names):
        K, R, t, distortion = rig.cameras.take(index)
        lines += [
            f"[cam_{index + 1:02d}]",
            f"name = {json.dumps(name)}",
            f"size = {np.asarray(rig.size_wh[index], float).tolist()}",
            f"matrix = {K.tolist()}",
            f"distortions = {distortion.tolist()}",
            f"rotation = {cv2.Rodrigues(R)[0][:, 0].tolist()}",
            f"translation = {(t / 1000.0).tolist()}",
            "fisheye = false",
            "",
        ]
    lines += ["[metadata]", "adjusted = false", "error = 0.0", ""]
    atomic_write(Path(path), "\n".join(lines))


@_of_this_kind
def read_opencv(
    intrinsics: Path | str, extrinsics: Path | str | None = None, unit: str = "m"
) -> Rig:
    """Reads OpenCV YAML or XML with a list `names` and, for each, `K_x`, `dist_x`, `Rot_x`, `T_x`.

    This is EasyMocap's pair `intri.yml` and `extri.yml`; a single file with all entries works too.
    `R_x` (Rodrigues) is read where there is no `Rot_x`. `unit` is that of T: mm, cm or m.

    Raises:
      InputError: the unit is none of these, or a file or an entry is missing.
    """
    if unit not in _MM:
        raise InputError(f"unit {unit!r} is not one of {', '.join(_MM)}")
    lenses, places = _storage(intrinsics), _storage(extrinsics or intrinsics)
    names = lenses.getNode("names")
    rows = {}
    for index in range(names.size()):
        name = names.at(index).string()
        turn = _read_matrix(places.getNode(f"Rot_{name}"))
        if turn is None:
            turn = cv2.Rodrigues(_matrix(places, f"R_{name}", extrinsics or intrinsics))[0]
        t = _MM[unit] * _matrix(places, f"T_{name}", extrinsics or intrinsics).ravel()
        K = _matrix(lenses, f"K_{name}", intrinsics)
        rows[name] = (K, turn, t, _matrix(lenses, f"dist_{name}", intrinsics).ravel(), None)
    return _rig(rows, intrinsics)


def write_opencv(path: Path | str, rig: Rig, unit: str = "m") -> None:
    """Writes one file with all entries that `read_opencv` reads."""
    # Written in memory: OpenCV does not report a full disk.
    in_memory = cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY
    storage = cv2.FileStorage(str(path), in_memory)
    storage.startWriteStruct("names", cv2.FileNode_SEQ)
    for name in rig.names:
        storage.write("", name)
    storage.endWriteStruct()
    for index, name in enumerate(rig.names):
        K, R, t, distortion = rig.cameras.take(index)
        storage.write(f"K_{name}", K)
        storage.write(f"dist_{name}", distortion[None])
        storage.write(f"R_{name}", cv2.Rodrigues(R)[0])
        storage.write(f"Rot_{name}", R)
        storage.write(f"T_{name}", t[:, None] / _MM[unit])
    atomic_write(Path(path), storage.releaseAndGetString())


def _rig(rows: dict[str, tuple[Any, ...]], path: Path | str) -> Rig:
    if not rows:
        raise InputError(f"{path} contains no camera of this kind")
    cameras, sizes = [], []
    for name, (*values, size) in rows.items():
        cameras.append(_named(values, name, path))
        sizes.append(size)
    size_wh = None if None in sizes else np.asarray(sizes).astype(int)
    return Rig(tuple(rows), stack(cameras), size_wh)


def _named(values: Sequence[Any], name: str, path: Path | str) -> Camera:
    try:
        return pinhole(*values)
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{path}, camera {name!r}: {error}") from error


def _json(path: Path | str) -> Any:
    try:
        document = parse_json(read_text(Path(path), SETTINGS))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is not a calibration: a JSON object is expected")
    return document


def _field(values: Any, name: str, path: Path | str) -> Any:
    if not isinstance(values, dict) or name not in values:
        raise InputError(f"{path} is not a calibration of this kind: it has no {name!r}")
    return values[name]


def _storage(path: Path | str) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no calibration file {path}")
    check_bytes(Path(path), SETTINGS)
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    except cv2.error as error:
        raise InputError(f"{path} is not an OpenCV file: {error}") from error
    return storage


def _read_matrix(node: Any) -> np.ndarray | None:
    """Matrix `[rows, cols]` of an OpenCV node; None for a node that does not exist.

    OpenCV's own reader of matrices writes outside its memory if the numbers do not fit the sizes.

    Raises:
      ValueError: there are not rows * cols numbers.
    """
    if node.isNone():
        return None
    rows, cols = (int(node.getNode(name).real()) for name in ("rows", "cols"))
    data = node.getNode("data")
    if rows < 1 or cols < 1 or data.size() != rows * cols:
        raise ValueError(f"a matrix of {rows} x {cols} has {data.size()} numbers")
    return np.array([data.at(i).real() for i in range(data.size())]).reshape(rows, cols)


def _matrix(storage: Any, name: str, path: Path | str) -> np.ndarray:
    value = _read_matrix(storage.getNode(name))
    if value is None:
        raise InputError(f"{path} is not a calibration of this kind: it has no {name!r}")
    return value
