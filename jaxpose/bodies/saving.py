"""Files of bodies: parameters as `.npz`, meshes as Wavefront `.obj`, motion as `.bvh`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies.model import Body
from jaxpose.bodies.scene import BodyTrack
from jaxpose.errors import not_written
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.rotations import axis_angle_from_matrix
from jaxpose.motion.armature import bvh_from_rotations
from jaxpose.motion.bvh import write_bvh
from jaxpose.paths import atomic_write

_MM = 1000.0


def save_parameters(
    path: Path,
    body: Body,
    shape: np.ndarray,
    rotations: np.ndarray,
    translation: np.ndarray,
    columns: dict[str, np.ndarray],
    gender: str = "",
) -> None:
    """Writes the parameters of N people under the names that tools for SMPL read.

    `betas [N, S]`, `poses [N, 3 J]` axis-angle in radians (the root first, in the frame of the
    camera: x right, y down, z forward), `trans [N, 3]` in metres; also `model`, `joints`, `gender`
    and the columns.

    Args:
      path: a `.npz`.
      body: the model.
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]`, see `pose_body`.
      translation: `[N, 3]` mm.
      columns: arrays `[N]` to store beside, such as the frame of each person.
      gender: of the model's file.

    Raises:
      InputError: the file cannot be written.
    """
    vectors = axis_angle_from_matrix(np.asarray(rotations, np.float64))
    arrays: dict[str, Any] = {
        "betas": shape,
        "poses": vectors.reshape(len(vectors), -1).astype(np.float32),
        "trans": (translation / _MM).astype(np.float32),
        "model": body.name,
        "joints": np.array(body.joints),
        "gender": gender,
        **columns,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise not_written(path, error) from error


def save_obj(
    path: Path, meshes: Sequence[np.ndarray], faces: np.ndarray, names: Sequence[str]
) -> None:
    """Writes meshes as one Wavefront file in metres, y up, one object for each.

    Args:
      path: a `.obj`.
      meshes: vertices `[V, 3]` mm in the camera's frame (x right, y down, z forward).
      faces: `[F, 3]` of every mesh.
      names: names of the objects.

    Raises:
      InputError: the file cannot be written.
    """
    lines = []
    for number, (vertices, name) in enumerate(zip(meshes, names, strict=True)):
        lines.append(f"o {name}")
        upright = y_up(vertices, "-y") / _MM
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in upright]
        first = 1 + number * len(vertices)
        lines += [f"f {a} {b} {c}" for a, b, c in faces + first]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise not_written(path, error) from error


def save_bvh(path: Path, body: Body, track: BodyTrack, stated: float | None = None) -> None:
    """Writes the motion of one person in centimetres, y up, the camera at the origin.

    Frames are at a constant rate; between those of the track they are interpolated, however long a
    gap is.

    Args:
      path: a `.bvh`.
      body: the model.
      track: the person.
      stated: frames per second that the video states.

    Raises:
      InputError: times that have no constant rate, or the file cannot be written.
    """
    even, fps = track.even(stated)
    parents = np.array(body.parents)
    offsets = track.joints - track.joints[np.maximum(parents, 0)]
    # A joint without children ends at twice the distance of the middle of its vertices.
    weights = np.asarray(body.weights, np.float64)
    middles = weights.T @ track.vertices / np.maximum(weights.sum(axis=0), 1e-9)[:, None]
    ends = 2 * (middles - track.joints)
    bvh = bvh_from_rotations(body.joints, parents, offsets, ends, even.rotations, even.root, fps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bvh(path, bvh)
    except OSError as error:
        raise not_written(path, error) from error
