"""Files of fitted bodies: parameters as `.npz`, meshes as Wavefront `.obj`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies.model import Body
from jaxpose.errors import not_written
from jaxpose.geometry.rotations import axis_angle_from_matrix
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
        # Two axes change their sign, so no mesh is mirrored.
        upright = vertices / _MM * np.array([1.0, -1.0, -1.0])
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in upright]
        first = 1 + number * len(vertices)
        lines += [f"f {a} {b} {c}" for a, b, c in faces + first]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise not_written(path, error) from error
