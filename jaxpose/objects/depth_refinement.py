"""Poses of objects refined by a depth image: iterative closest point (ICP) with small_gicp."""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, back_project
from jaxpose.geometry.rasterize import render_depth
from jaxpose.geometry.rigid import RigidPose, compose_poses, invert_pose
from jaxpose.objects.model import ObjectModel
from jaxpose.requirements import imported

# Largest distance of a point of the scene from the surface in each round, in diameters.
_REACHES = (0.3, 0.15, 0.08, 0.04)
# Distance in diameters below which a pixel's depth agrees with the surface.
_AGREES = 0.02
# Grid of the points in diameters: that of LINEMOD's objects in images of 640 x 480.
_GRID = 0.01
_LEAST_POINTS = 30
# Times by which all depths of an image may differ from the distances of its objects.
_MOST_TIMES = 3.0


class DepthFit(NamedTuple):
    """Result of `refine_by_depth`.

    Attributes:
      pose: the refined pose, or the given one where the depth does not support another.
      agreement: share of the object's pixels whose depth is within 0.02 diameters of it.
    """

    pose: RigidPose
    agreement: float


def refine_by_depth(
    pose: RigidPose, model: ObjectModel, depth: np.ndarray, camera: Camera
) -> DepthFit:
    """Refine a pose by point-to-plane ICP between a depth image and the surface of a model.

    The surface that is seen in the pose is drawn, first moved along the line of sight by the median
    difference of the depths, and then registered with the points of the scene in and around its
    silhouette, four times with ever smaller distances. The result is taken only if more pixels
    agree with it than with the given pose. Hidden parts and other objects are left out by their
    distance.

    Args:
      pose: in the camera's frame, mm.
      model: a model with faces.
      depth: `[H, W]` mm along the camera's axis, 0 where unknown.
      camera: camera of the image, with K and distortion; its frame is that of the pose.

    Raises:
      InputError: small_gicp is not installed, or the model has no faces.
    """
    gicp = imported("small_gicp", purpose="Refining poses by depth images", extra="icp")
    if not len(model.faces):
        raise InputError(
            f"Model {model.id} ({model.name}) has no faces, and ICP with depth needs its surface."
        )
    drawn = _drawn(pose, model, camera, depth.shape)
    given = _agreement(drawn, model, depth)
    best = pose
    for number, share in enumerate(_REACHES):
        reach = share * model.diameter
        near = (drawn > 0) & (depth > 0) & (np.abs(depth - drawn) < reach)
        if near.sum() < _LEAST_POINTS:
            break
        if number == 0:
            away = float(np.median((depth - drawn)[near]))
            best = best._replace(t=best.t * (1 + away / best.t[2]))
            drawn = _drawn(best, model, camera, depth.shape)
        source = points_of_depth(depth, _around(drawn) & (depth > 0), camera)
        target = points_of_depth(drawn, drawn > 0, camera)
        if min(len(source), len(target)) < _LEAST_POINTS:
            break
        made = gicp.align(
            target,
            source,
            registration_type="PLANE_ICP",
            downsampling_resolution=_GRID * model.diameter,
            max_correspondence_distance=reach,
            max_iterations=20,
            num_threads=1,
        )
        moved = np.asarray(made.T_target_source)
        if not np.isfinite(moved).all():
            break
        scene_to_model = RigidPose(moved[:3, :3], moved[:3, 3])
        best = compose_poses(invert_pose(scene_to_model), best)
        drawn = _drawn(best, model, camera, depth.shape)
    reached = _agreement(drawn, model, depth)
    return DepthFit(best, reached) if reached > given else DepthFit(pose, given)


def check_depth_unit(
    poses: list[tuple[RigidPose, ObjectModel]], depth: np.ndarray, camera: Camera, where: str
) -> None:
    """Compare the depths of an image with the distances of all objects that were found in it.

    Raises:
      InputError: no depth is known where the objects are, or all are several times too large or
        too small: `depth_scale` is wrong.
    """
    ratios = []
    for pose, model in poses:
        drawn = _drawn(pose, model, camera, depth.shape)
        known = (drawn > 0) & (depth > 0)
        if known.any():
            ratios.append(float(np.median(depth[known] / drawn[known])))
    if poses and not (depth > 0).any():
        raise InputError(f"{where}: the depth image is empty: all its values are 0.")
    if ratios and (min(ratios) > _MOST_TIMES or max(ratios) < 1 / _MOST_TIMES):
        raise InputError(
            f"{where}: its depths are {np.median(ratios):.3g} times the distances of the objects "
            "found: correct depth_scale in scene_camera.json, the mm of one unit of the depth "
            "images."
        )


def points_of_depth(depth: np.ndarray, there: np.ndarray, camera: Camera) -> np.ndarray:
    """Points `[N, 3]` mm in the camera's frame of the pixels `there [H, W]` of depths `[H, W]`."""
    rows, columns = np.nonzero(there)
    pixels = np.stack([columns, rows], axis=-1).astype(np.float64)
    own = camera._replace(R=np.eye(3), t=np.zeros(3))
    return back_project(own, pixels, depth[rows, columns].astype(np.float64))


def _drawn(
    pose: RigidPose, model: ObjectModel, camera: Camera, image_hw: tuple[int, ...]
) -> np.ndarray:
    """Depth `[H, W]` of the model alone in a pose."""
    placed = camera._replace(R=np.asarray(pose.R), t=np.asarray(pose.t))
    return render_depth(model.vertices, model.faces, placed, (image_hw[0], image_hw[1]))


def _agreement(drawn: np.ndarray, model: ObjectModel, depth: np.ndarray) -> float:
    """Share of the pixels of a drawn model whose depth is near that of the scene."""
    silhouette = drawn > 0
    if not silhouette.any():
        return 0.0
    agree = silhouette & (depth > 0) & (np.abs(depth - drawn) < _AGREES * model.diameter)
    return float(agree.sum() / silhouette.sum())


def _around(drawn: np.ndarray) -> np.ndarray:
    """Pixels `[H, W]` of a silhouette and a margin of a tenth of its side."""
    import cv2

    rows, columns = np.nonzero(drawn)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    size = 2 * int(np.ceil(0.1 * side)) + 1
    return cv2.dilate((drawn > 0).astype(np.uint8), np.ones((size, size), np.uint8)) > 0
