"""Reader of the JSON that `jaxpose lift` writes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.results.people import check_number
from jaxpose.skeletons import BUILT_IN, Skeleton, pairs_by_name

_SIZES = 300.0, 4000.0  # mm, from the smallest to the largest extent of a person


@dataclass(frozen=True)
class LiftedFile:
    """Joints in 3D of N people in the frames of one video, in the order of the frames.

    Attributes:
      skeleton: skeleton of the K joints.
      joints_mm: `[N, K, 3]`, x right, y down, z forward from the camera; about the root unless
        `lift` placed people before the camera.
      tracks: int `[N]`.
      frames: int `[N]`.
      seconds: `[N]`.
      fps: rows per second of the lifted tracks, or None.
    """

    skeleton: Skeleton
    joints_mm: np.ndarray
    tracks: np.ndarray
    frames: np.ndarray
    seconds: np.ndarray
    fps: float | None


def read_lifted(path: Path) -> LiftedFile | None:
    """Reads a file of `jaxpose lift`; returns None for a file of another form.

    Frames without the person are left out.

    Raises:
      InputError: the file is damaged or empty, or its unit is not the millimetre.
    """
    try:
        text = read_text(path, ANNOTATIONS)
        content = parse_json(text) if '"tracks"' in text else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    if not isinstance(content, dict) or "tracks" not in content:
        return None
    units = str(content.get("units", ""))
    if not units.startswith("mm"):
        raise InputError(
            f"{path}: its units are {units[:40]!r}, and joints in mm are needed; multiply metres "
            'by 1000, and write "units": "mm"'
        )
    try:
        return _joints(path, content)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} has another form ({error}); expected a .json of `jaxpose lift`"
        ) from error


def _joints(path: Path, content: dict[str, Any]) -> LiftedFile:
    names = tuple(str(name) for name in content["skeleton"]["keypoints"])
    known = (one for one in BUILT_IN.values() if one.keypoints == names)
    skeleton = next(known, None) or Skeleton("lifted", names, pairs_by_name(names))
    check_number(len(content["tracks"]), str(path))
    joints, tracks, frames, seconds = [], [], [], []
    for track in content["tracks"]:
        number = int(track["track"])
        rows = zip(track["joints_mm"], track["frames"], track["seconds"], strict=True)
        for points, frame, second in rows:
            if points is None:
                continue
            pose = np.array(points, np.float64)
            where = f"{path}, track {number}, frame {frame}"
            if pose.shape != (len(names), 3) or not np.isfinite(pose).all():
                raise InputError(f"{where}: {len(names)} joints of 3 finite numbers are needed")
            if not np.isfinite(float(second)):
                raise InputError(f"{where}: its time is {second}; seconds are needed")
            joints.append(pose)
            tracks.append(number)
            frames.append(int(frame))
            seconds.append(float(second))
    if not joints:
        raise InputError(f"{path} has no joints in any frame")
    extent = float(np.median(np.ptp(np.stack(joints), axis=1).max(axis=1)))
    if not _SIZES[0] <= extent <= _SIZES[1]:
        raise InputError(
            f"{path}: its people are {extent:.3g} mm large, and joints are needed in millimetres; "
            "multiply metres by 1000 and centimetres by 10"
        )
    fps = content.get("fps")
    if fps is not None and not 0 < float(fps) < np.inf:
        raise InputError(f"{path}: fps is {fps}; a positive number is needed, or null")
    order = np.argsort(frames, kind="stable")
    return LiftedFile(
        skeleton,
        np.stack(joints)[order],
        np.array(tracks)[order],
        np.array(frames)[order],
        np.array(seconds)[order],
        None if fps is None else float(fps),
    )
