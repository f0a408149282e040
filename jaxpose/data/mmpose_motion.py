"""Reader of MMPose's annotations for lifting: an `.npz` of frames and a pickle of cameras.

The `.npz` has `imgname [N]`, `part [N, K, 3]` (pixels and a flag) and `S [N, K, 4]` (metres in the
camera's frame and a flag). The pickle maps a camera to its focal length `f [2, 1]`, principal point
`c [2, 1]`, image size `w`, `h`, radial `k` (k1, k2, k3) and tangential `p` (p1, p2) distortion, and
the camera's orientation `R` (camera to world) and position `T` (m).
"""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.convert.npz import read_npz
from jaxpose.data.motion import Clip
from jaxpose.data.pickles import read_pickle
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, pinhole

ImageSize = Callable[[Mapping[str, Any]], tuple[int, int]]


def stated_size(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height in the camera's entry."""
    return int(parameters["w"]), int(parameters["h"])


def read_clips(
    annotations: Path,
    cameras: Path | None,
    *,
    image_name: re.Pattern[str],
    camera_key: Callable[[Mapping[str, str]], Any],
    split: Callable[[str], str],
    fps: float = 0.0,
    image_size: ImageSize = stated_size,
) -> list[Clip]:
    """Reads clips, each of one subject, action and camera; missing frames start a new clip.

    Args:
      annotations: the `.npz`.
      cameras: the pickle; None if there is none.
      image_name: pattern of a file name without folders, with the groups `subject`, `action`,
        `camera` and `frame` (a number).
      camera_key: maps those groups to the key of the pickle.
      split: maps a subject to its split.
      fps: rate of consecutive frame numbers, 0 if unknown.
      image_size: maps a camera's entry to width and height.

    Raises:
      InputError: another layout, names that do not match, frames out of order, no such camera.
    """
    names, part, joints = _arrays(annotations)
    known = {} if cameras is None else read_pickle(cameras)
    groups: dict[tuple, list[int]] = {}
    frames = np.zeros(len(names), np.int64)
    for i, name in enumerate(names):
        found = image_name.fullmatch(Path(str(name)).name)
        if not found:
            raise InputError(
                f"{annotations}: the image name {name!r} does not match {image_name.pattern}."
            )
        frames[i] = int(found["frame"])
        fields = {field: found.groupdict().get(field) or "" for field in _BY}
        groups.setdefault(tuple(fields.items()), []).append(i)
    clips = []
    for key, rows in groups.items():
        fields = dict(key)
        view, size = None, (0, 0)
        if cameras is not None:
            view, size = _camera(known, camera_key(fields), cameras, image_size)
        where = " ".join(filter(None, fields.values()))
        runs, step = consecutive(frames[rows], f"{annotations}: {where}")
        for number, run in enumerate(runs):
            own = np.array(rows)[run]
            clips.append(
                Clip(
                    joints_mm=joints[own, :, :3] * 1000.0,
                    keypoints=part[own, :, :2],
                    confidence=part[own, :, 2],
                    labelled=joints[own, :, 3] > 0,
                    split=split(fields["subject"]),
                    name=f"{where} run{number}",
                    fps=fps / step,
                    image_wh=size,
                    view=view,
                    **fields,
                )
            )
    return clips


_BY = ("subject", "action", "camera")


def consecutive(frames: np.ndarray, where: str) -> tuple[list[slice], int]:
    """Runs of frame numbers `[N]` with a constant step, and that step (the smallest that occurs).

    Raises:
      InputError: the numbers do not increase.
    """
    steps = np.diff(frames)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0))
        raise InputError(
            f"{where}: frames are out of order: {frames[at + 1]} follows {frames[at]}. Sort them "
            "by number, each once."
        )
    step = int(steps.min()) if steps.size else 1
    cuts = [0, *(np.flatnonzero(steps != step) + 1).tolist(), len(frames)]
    return [slice(a, b) for a, b in pairwise(cuts)], step


def _arrays(annotations: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        file = read_npz(annotations)
        names, part, joints = (file[key] for key in ("imgname", "part", "S"))
    except (ValueError, KeyError) as error:
        raise InputError(f"{annotations}: not MMPose's annotations for lifting: {error}") from error
    if part.shape[:2] != joints.shape[:2] or part.shape[2:] != (3,) or joints.shape[2:] != (4,):
        raise InputError(
            f"{annotations}: `part` is {list(part.shape)} and `S` {list(joints.shape)}; they have "
            "to be [N, K, 3] and [N, K, 4]."
        )
    return names, part, joints


def _camera(
    known: Mapping[Any, Any], key: Any, path: Path, image_size: ImageSize
) -> tuple[Camera, tuple[int, int]]:
    if key not in known:
        some = ", ".join(str(k) for k in list(known)[:4])
        raise InputError(f"{path}: has no camera {key}; the first of {len(known)} are {some}.")
    parameters = known[key]
    f, c = (np.ravel(parameters[name]) for name in ("f", "c"))
    K = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
    k1, k2, k3 = np.ravel(parameters.get("k", np.zeros(3)))
    p1, p2 = np.ravel(parameters.get("p", np.zeros(2)))
    distortion = np.array([k1, k2, p1, p2, k3])
    if "R" not in parameters:
        nowhere = np.full((3, 3), np.nan), np.full(3, np.nan)
        return Camera(K, *nowhere, distortion), image_size(parameters)
    R = np.asarray(parameters["R"], np.float64).T
    t = -R @ np.ravel(parameters["T"]) * 1000.0
    return pinhole(K, R, t, distortion), image_size(parameters)
