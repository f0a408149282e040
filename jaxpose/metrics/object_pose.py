"""Errors of 6DoF poses of objects: ADD, ADD-S, MSSD, MSPD, VSD, and of rotation and translation.

As the BOP toolkit defines them (Hodan et al. 2016, "On Evaluation of 6D Object Pose Estimation";
Hodan et al. 2020, arXiv:2009.07378, section 2.2). Poses take the object's frame to the camera's;
lengths are in millimetres. A pose that counts as correct by ADD or ADD-S has an error of less than
a tenth of the object's diameter.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole
from jaxpose.geometry.rasterize import render_depth
from jaxpose.geometry.rigid import RigidPose, apply_pose, compose_poses
from jaxpose.geometry.rotations import angle_between

_MOST = 2_000_000  # points times symmetries at a time


def add(estimate: RigidPose, truth: RigidPose, points: np.ndarray) -> float:
    """Mean distance of corresponding points `[N, 3]` of the model, mm (ADD)."""
    away = apply_pose(estimate, points) - apply_pose(truth, points)
    return float(np.linalg.norm(away, axis=-1).mean())


def add_s(estimate: RigidPose, truth: RigidPose, points: np.ndarray) -> float:
    """Mean distance of each true point to the nearest estimated one, mm (ADD-S, or ADI).

    For symmetric objects: where points correspond is not asked.
    """
    tree = cKDTree(apply_pose(estimate, points))
    return float(tree.query(apply_pose(truth, points))[0].mean())


def rotation_error(estimate: RigidPose, truth: RigidPose) -> float:
    """Angle between the rotations, degrees."""
    return float(np.rad2deg(angle_between(estimate.R, truth.R)))


def translation_error(estimate: RigidPose, truth: RigidPose) -> float:
    """Distance between the translations, mm."""
    return float(np.linalg.norm(estimate.t - truth.t))


def projection_error(
    estimate: RigidPose, truth: RigidPose, points: np.ndarray, K: np.ndarray
) -> float:
    """Mean distance of the projections of corresponding points, pixels.

    Correct below 5 pixels in the literature (Brachmann et al. 2016).
    """
    away = _pixels(K, apply_pose(estimate, points)) - _pixels(K, apply_pose(truth, points))
    return float(np.linalg.norm(away, axis=-1).mean())


def mssd(estimate: RigidPose, truth: RigidPose, points: np.ndarray, symmetries: RigidPose) -> float:
    """Maximum distance of corresponding points of the surface under the best symmetry, mm (MSSD).

    Args:
      estimate, truth: poses.
      points: `[N, 3]` of the model.
      symmetries: `[S]`, the identity among them; see `geometry.symmetries`.
    """
    found = apply_pose(estimate, points)
    return min(
        float(np.linalg.norm(found - moved, axis=-1).max(axis=-1).min())
        for moved in _under(truth, symmetries, points)
    )


def mspd(
    estimate: RigidPose,
    truth: RigidPose,
    points: np.ndarray,
    symmetries: RigidPose,
    K: np.ndarray,
) -> float:
    """Maximum distance of projections under the best symmetry, pixels (MSPD).

    Arguments are those of `mssd`; `K [3, 3]` has the intrinsics.
    """
    found = _pixels(K, apply_pose(estimate, points))
    return min(
        float(np.linalg.norm(found - _pixels(K, moved), axis=-1).max(axis=-1).min())
        for moved in _under(truth, symmetries, points)
    )


def vsd(
    depth_estimate: np.ndarray,
    depth_truth: np.ndarray,
    depth_scene: np.ndarray,
    K: np.ndarray,
    *,
    taus: Sequence[float],
    delta: float = 15.0,
    diameter: float | None = None,
) -> np.ndarray:
    """Visible surface discrepancy `[T]`, 0 to 1, of two poses whose depths are drawn (VSD).

    The share of pixels of both visible masks together in which only one of them is, or in which
    both are and their distances to the camera differ by at least tau. As of BOP 2019: visible is
    what is not more than `delta` behind the scene's depth, or has none there.

    Args:
      depth_estimate, depth_truth: depths along the camera's axis of the model in both poses
        `[H, W]`, mm, 0 where it is not; `geometry.rasterize.render_depth` draws them.
      depth_scene: measured depth `[H, W]`, mm, 0 where it is not known.
      K: intrinsics `[3, 3]`.
      taus: tolerances; in mm, or in diameters if there is one.
      delta: tolerance of the visibility, mm.
      diameter: of the object, mm.

    Raises:
      InputError: depths of different sizes.
    """
    shapes = {np.shape(depth) for depth in (depth_estimate, depth_truth, depth_scene)}
    if len(shapes) != 1:
        raise InputError(f"VSD needs three depths of one size, and they have {sorted(shapes)}")
    found, true, scene = (
        _distances(depth, K) for depth in (depth_estimate, depth_truth, depth_scene)
    )
    seen_true = _visible(true, scene, delta)
    seen_found = _visible(found, scene, delta) | (seen_true & (found > 0))
    both = seen_found & seen_true
    union = int((seen_found | seen_true).sum())
    if not union:
        return np.ones(len(taus))
    away = np.abs(true[both] - found[both]) / (1.0 if diameter is None else diameter)
    wrong = np.array([(away >= tau).sum() for tau in taus])
    return (wrong + union - both.sum()) / union


def vsd_of_poses(
    estimate: RigidPose,
    truth: RigidPose,
    vertices: np.ndarray,
    faces: np.ndarray,
    depth_scene: np.ndarray,
    K: np.ndarray,
    *,
    taus: Sequence[float],
    diameter: float | None = None,
) -> np.ndarray:
    """Visible surface discrepancy `[T]` of two poses of a model, whose depths are drawn here.

    Args:
      estimate, truth: poses.
      vertices: `[V, 3]` of the model, mm.
      faces: int `[F, 3]`.
      depth_scene, K, taus, diameter: as in `vsd`.
    """
    camera = pinhole(K, np.eye(3), np.zeros(3))
    shape = depth_scene.shape[0], depth_scene.shape[1]
    found, true = (
        render_depth(apply_pose(pose, vertices), faces, camera, shape) for pose in (estimate, truth)
    )
    return vsd(found, true, depth_scene, K, taus=taus, diameter=diameter)


def _visible(model: np.ndarray, scene: np.ndarray, delta: float) -> np.ndarray:
    return ((model - scene <= delta) | (scene == 0)) & (model > 0)


def _distances(depth: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Distances to the camera's centre `[H, W]` of depths along its axis."""
    depth = np.asarray(depth, np.float64)
    y, x = np.mgrid[: depth.shape[0], : depth.shape[1]]
    y = (y - K[1, 2]) / K[1, 1]
    x = (x - K[0, 2] - K[0, 1] * y) / K[0, 0]
    return depth * np.sqrt(1 + x * x + y * y)


def _under(truth: RigidPose, symmetries: RigidPose, points: np.ndarray):
    """Points `[s, N, 3]` in the true pose after each symmetry, some symmetries at a time."""
    alike = compose_poses(RigidPose(truth.R[None], truth.t[None]), symmetries)
    step = max(1, _MOST // max(len(points), 1))
    for start in range(0, len(alike.t), step):
        yield apply_pose(alike.take(slice(start, start + step)), points)


def _pixels(K: np.ndarray, points: np.ndarray) -> np.ndarray:
    homogeneous = points @ np.asarray(K, np.float64).T
    return homogeneous[..., :2] / homogeneous[..., 2:]
