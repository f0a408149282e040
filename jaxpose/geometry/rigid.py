"""Rigid transformations: a rotation, then a translation."""

from typing import Any, NamedTuple

import numpy as np

from jaxpose.geometry.namespace import (
    ArrayT,
    multiply,
    namespace,
    prepend_axes,
    transform,
    transpose,
)


class RigidPose(NamedTuple):
    """Transformation `x' = R x + t`, or a stack of them; as a pose, from an object to a camera.

    Frames: the camera's has x right, y down and z forward. Arrays are NumPy's or JAX's.

    Attributes:
      R: `[..., 3, 3]` rotation.
      t: `[..., 3]` translation, mm.
    """

    R: Any
    t: Any

    def take(self, index: Any) -> "RigidPose":
        """Pose or poses at an index of the leading axes, as in `array[index]`."""
        return RigidPose(self.R[index], self.t[index])


def apply_pose(pose: RigidPose, points: ArrayT) -> ArrayT:
    """Points `[..., N, 3]` after a transformation; leading axes broadcast."""
    rank = max(pose.t.ndim + 1, points.ndim)
    R = prepend_axes(pose.R[..., None, :, :], rank + 1)
    return transform(R, prepend_axes(points, rank)) + prepend_axes(pose.t[..., None, :], rank)


def compose_poses(second: RigidPose, first: RigidPose) -> RigidPose:
    """Transformation that does `first`, then `second`; leading axes broadcast."""
    rank = max(second.t.ndim, first.t.ndim)
    (R2, t2), (R1, t1) = (
        (prepend_axes(pose.R, rank + 1), prepend_axes(pose.t, rank)) for pose in (second, first)
    )
    return RigidPose(multiply(R2, R1), transform(R2, t1) + t2)


def invert_pose(pose: RigidPose) -> RigidPose:
    """Inverse transformation."""
    back = transpose(pose.R)
    return RigidPose(back, -transform(back, pose.t))


def stack_poses(poses: list[RigidPose]) -> RigidPose:
    """Stack of poses with a new first axis."""
    xp = namespace(poses[0].t) if poses else np
    return RigidPose(*(xp.stack(values) for values in zip(*poses, strict=True)))
