"""Symmetries of objects: the rigid transformations that leave its appearance as it is.

As in the `models_info.json` of BOP datasets (Hodan et al. 2018, arXiv:1808.08319; Hodan et al.
2020, arXiv:2009.07378, section 2.2).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.rigid import RigidPose, apply_pose, compose_poses
from jaxpose.geometry.rotations import matrix_from_axis_angle

_ORTHONORMAL = 1e-3


def symmetry_transforms(info: Mapping[str, Any], max_step: float = 0.01) -> RigidPose:
    """Symmetries `[S]` of an object, the identity first; continuous ones in steps.

    Args:
      info: entry of `models_info.json`: `symmetries_discrete`, 4 x 4 matrices as 16 numbers row by
        row, and `symmetries_continuous`, each an `axis` and an `offset` (mm); both may be absent.
      max_step: largest distance between neighbouring steps of a point at the surface, in diameters
        of the object.

    Raises:
      InputError: entries of another form, or a transformation that mirrors or stretches.
    """
    discrete = [RigidPose(np.eye(3), np.zeros(3))]
    for entry in info.get("symmetries_discrete", ()):
        discrete.append(_discrete(entry))
    turns: list[RigidPose] = []
    for entry in info.get("symmetries_continuous", ()):
        turns += _turns(entry, max_step)
    found = [compose_poses(turn, fixed) for fixed in discrete for turn in turns] or discrete
    return RigidPose(*(np.stack(values) for values in zip(*found, strict=True)))


def canonical_pose(pose: RigidPose, symmetries: RigidPose) -> RigidPose:
    """Of the poses with the same appearance, that with the rotation nearest to the identity.

    An image does not distinguish them; labels of one of them give a network one target.

    Args:
      pose: one pose.
      symmetries: `[S]`, see `symmetry_transforms`.
    """
    alike = compose_poses(RigidPose(pose.R[None], pose.t[None]), symmetries)
    return alike.take(int(np.argmax(np.trace(alike.R, axis1=-2, axis2=-1))))


def symmetric_error(points: np.ndarray, symmetries: RigidPose) -> np.ndarray:
    """Largest distance `[S]` of points `[N, 3]` of a surface from the surface after a symmetry.

    Small for real symmetries of densely sampled models, in mm; to check a `models_info.json`.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    moved = apply_pose(symmetries, np.asarray(points, np.float64))
    return np.array([tree.query(each)[0].max() for each in moved])


def _discrete(entry: Any) -> RigidPose:
    try:
        matrix = np.array(entry, np.float64).reshape(4, 4)
    except (OverflowError, TypeError, ValueError) as error:
        raise InputError(
            "an entry of symmetries_discrete is not a 4 x 4 matrix of 16 numbers"
        ) from error
    R = matrix[:3, :3]
    stretched = not np.isfinite(matrix).all() or np.abs(R @ R.T - np.eye(3)).max() > _ORTHONORMAL
    if stretched or np.linalg.det(R) < 0:
        raise InputError(
            "a matrix of symmetries_discrete mirrors or stretches the object; a symmetry is a "
            "rotation and a translation"
        )
    return RigidPose(R, matrix[:3, 3])


def _turns(entry: Any, max_step: float) -> list[RigidPose]:
    """Turns about an axis, the identity first."""
    try:
        axis = np.array(entry["axis"], np.float64).reshape(3)
        offset = np.array(entry.get("offset", (0, 0, 0)), np.float64).reshape(3)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            "an entry of symmetries_continuous needs an 'axis' and an 'offset' of three numbers"
        ) from error
    length = np.linalg.norm(axis)
    if not np.isfinite(offset).all() or not np.isfinite(length) or length == 0:
        raise InputError("the axis of a continuous symmetry has to be a finite vector, not zero")
    count = math.ceil(math.pi / max_step)
    angles = 2 * math.pi / count * np.arange(count)
    R = matrix_from_axis_angle(angles[:, None] * axis / length)
    t = offset - R @ offset
    return [RigidPose(*values) for values in zip(R, t, strict=True)]
