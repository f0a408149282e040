"""Marker files for biomechanics, written from joints: TRC (OpenSim) and C3D."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.paths import atomic_write

_BLOCK = 512
_INTEL = 84


def write_trc(
    path: Path | str,
    points: np.ndarray,
    names: Sequence[str],
    fps: float,
    *,
    begin: float = 0.0,
) -> None:
    """Writes `points [T, K, 3]` in mm as an OpenSim marker file.

    OpenSim needs y up, see `geometry.axes.y_up`. A missing marker (NaN) is left blank.

    Args:
      path: path of the file.
      points: at a constant rate (`motion.timing.even_clock`).
      names: K names.
      fps: rows per second.
      begin: time of the first row, seconds.

    Raises:
      InputError: shapes that do not fit together.
    """
    points = _checked(points, names)
    frames, count = points.shape[:2]
    axes = [f"{axis}{i + 1}" for i in range(count) for axis in "XYZ"]
    keys = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame"
    rate = f"{fps:.10g}"
    values = [rate, rate, frames, count, "mm", rate, 1, frames]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "\t".join([*keys.split(), "OrigNumFrames"]),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "\t\t\t".join(names),
        "\t\t" + "\t".join(axes),
        "",
    ]
    for frame, row in enumerate(points):
        cells = [f"{value:.5f}" if np.isfinite(value) else "" for value in row.ravel()]
        lines.append("\t".join([str(frame + 1), f"{begin + frame / fps:.6f}", *cells]))
    atomic_write(Path(path), "\n".join(lines) + "\n")


def write_c3d(path: Path | str, points: np.ndarray, names: Sequence[str], fps: float) -> None:
    """Writes `points [T, K, 3]` (mm) as a C3D file of points only, float32, Intel byte order.

    A missing marker (NaN) is invalid: residual -1. Source: the C3D file format user guide, Motion
    Lab Systems 2008.

    Raises:
      InputError: shapes that do not fit together; more than 65,535 frames or 255 markers.
    """
    points = _checked(points, names)
    frames, count = points.shape[:2]
    if frames > 65535 or count > 255:
        raise InputError(
            f"C3D files can have 65,535 frames and 255 markers, not {frames} and {count}"
        )
    parameters = _parameters(names, frames, fps, data_start=0)
    start = 2 + len(parameters) // _BLOCK
    parameters = _parameters(names, frames, fps, data_start=start)
    header = struct.pack(
        "<BBHHHHHfHHf", 2, 0x50, count, 0, 1, frames, 0, -1.0, start, 0, fps
    ).ljust(_BLOCK, b"\0")
    known = np.isfinite(points).all(axis=-1, keepdims=True)
    values = np.concatenate([np.where(known, points, 0.0), np.where(known, 0.0, -1.0)], axis=-1)
    data = values.astype("<f4").tobytes()
    padding = b"\0" * (-len(data) % _BLOCK)
    atomic_write(Path(path), header + parameters + data + padding)


def _parameters(names: Sequence[str], frames: int, fps: float, data_start: int) -> bytes:
    width = max(len(name.encode()) for name in names)
    labels = b"".join(name.encode().ljust(width) for name in names)
    entries = [
        _group(1, "POINT"),
        _parameter(1, "USED", 2, (), struct.pack("<h", len(names))),
        _parameter(1, "SCALE", 4, (), struct.pack("<f", -1.0)),
        _parameter(1, "RATE", 4, (), struct.pack("<f", fps)),
        _parameter(1, "DATA_START", 2, (), struct.pack("<h", data_start)),
        _parameter(1, "FRAMES", 2, (), struct.pack("<H", frames)),
        _parameter(1, "UNITS", -1, (2,), b"mm"),
        _parameter(1, "LABELS", -1, (width, len(names)), labels),
        _parameter(1, "DESCRIPTIONS", -1, (width, len(names)), labels),
        _group(2, "ANALOG"),
        _parameter(2, "USED", 2, (), struct.pack("<h", 0)),
    ]
    body = b"".join(entries) + b"\0\0"
    blocks = -(-(len(body) + 4) // _BLOCK)
    return (bytes([1, 0x50, blocks, _INTEL]) + body).ljust(blocks * _BLOCK, b"\0")


def _group(number: int, name: str) -> bytes:
    return struct.pack("<bb", len(name), -number) + name.encode() + struct.pack("<hB", 3, 0)


def _parameter(group: int, name: str, kind: int, dimensions: tuple[int, ...], data: bytes) -> bytes:
    body = struct.pack("<bB", kind, len(dimensions)) + bytes(dimensions) + data + b"\0"
    head = struct.pack("<bb", len(name), group) + name.encode()
    return head + struct.pack("<h", len(body) + 2) + body


def _checked(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1:] != (len(names), 3) or not points.size:
        raise InputError(
            f"points of shape {points.shape} for {len(names)} names; they have to be [T, K, 3]"
        )
    return points
