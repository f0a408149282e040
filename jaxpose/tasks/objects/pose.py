"""Pose of an object from the keypoints that a network found."""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera
from jaxpose.geometry.pnp import NoPose, project_points, solve_pnp, solve_pnp_ransac
from jaxpose.geometry.pose_refinement import refine_pose
from jaxpose.geometry.rigid import RigidPose

# Least variance of a keypoint, px²: voting can be more certain than pixels are small.
_FLOOR = 0.05
_LEAST = 4


class FoundKeypoints(NamedTuple):
    """Keypoints of objects in pixels of an image.

    Attributes:
      keypoints: `[..., K, 2]`.
      scores: `[..., K]` in [0, 1].
      valid: bool `[..., K]`, False where a keypoint was not found.
      covariance: `[..., K, 2, 2]` px², or None.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    valid: np.ndarray
    covariance: np.ndarray | None = None

    def take(self, row: int) -> "FoundKeypoints":
        """Keypoints of one object."""
        spread = None if self.covariance is None else self.covariance[row]
        return FoundKeypoints(self.keypoints[row], self.scores[row], self.valid[row], spread)


def pose_from_keypoints(
    found: FoundKeypoints, points: np.ndarray, camera: Camera, threshold: float
) -> RigidPose | None:
    """Pose of one object; None if fewer than four keypoints agree with one.

    With covariances: a start from the keypoints with the least variance (EPnP or SQPnP), refined by
    the inverse covariances (PVNet, arXiv:1812.11788, section 3.2). Without: RANSAC, refined by
    scores.

    Args:
      found: keypoints of one object, K of them.
      points: `[K, 3]` of the object, mm.
      camera: camera of the image, in whose frame the pose is.
      threshold: largest distance of an inlier, pixels.
    """
    keep = found.valid & np.isfinite(found.keypoints).all(axis=-1)
    if keep.sum() < _LEAST:
        return None
    points, pixels = points[keep], found.keypoints[keep].astype(np.float64)
    try:
        robust = solve_pnp_ransac(points, pixels, camera, threshold=threshold)
    except NoPose:
        robust = None
    except InputError:  # degenerate keypoints: all on one line
        return None
    if found.covariance is None:
        if robust is None:
            return None
        weights = np.clip(found.scores[keep], 1e-3, 1.0) * robust.inliers
        return refine_pose(robust.pose, points, pixels, camera, weights)
    spread = found.covariance[keep].astype(np.float64) + _FLOOR * np.eye(2)
    try:
        best = np.argsort(np.trace(spread, axis1=-2, axis2=-1))[: max(_LEAST, len(points) // 2)]
        start = robust.pose if robust else solve_pnp(points[best], pixels[best], camera)
    except InputError:
        return None
    pose = refine_pose(start, points, pixels, camera, np.linalg.inv(spread))
    away = np.linalg.norm(project_points(pose, points, camera) - pixels, axis=-1)
    return pose if (away < threshold).sum() >= _LEAST else None
