"""Triangulation: points in the world from pixels in several cameras, by direct linear transform."""

from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, normalise, project, world_to_camera
from jaxpose.geometry.namespace import ArrayT, floating, namespace, prepend_axes, transform


def triangulate(cameras: Camera, keypoints: ArrayT, weights: ArrayT | None = None) -> ArrayT:
    """Triangulates points by the smallest weighted algebraic error over all views.

    Pixels are undistorted and normalised, and the world is centred on the cameras and scaled to
    their spread, so that the system is well conditioned. NumPy computes in float64: noise-free
    projections give the point back to 1e-9 of its distance; float32 in JAX reaches 1e-5.

    Args:
      cameras: `[V]`, V >= 2.
      keypoints: `[V, ..., 2]` pixels.
      weights: `[V, ...]` confidences, or None for ones. A view of weight 0 or with a NaN pixel is
        ignored.

    Returns:
      `[..., 3]` mm; NaN where fewer than two views have the point.

    Raises:
      InputError: one view only, shapes that do not fit, invalid NumPy cameras.

    Hartley and Zisserman, "Multiple View Geometry", section 12.2.
    """
    keypoints, weights = checked_views(cameras, keypoints, weights)
    xp = namespace(cameras.K, keypoints, weights)
    lead = keypoints.shape[1:-1]
    pixels, weights = keypoints.reshape(len(keypoints), -1, 2), weights.reshape(len(keypoints), -1)

    position = cameras.position
    middle = position.mean(axis=0)
    spread = xp.maximum(xp.sqrt(xp.sum((position - middle[None]) ** 2, axis=-1)).max(), 1.0)
    t = (transform(cameras.R, xp.broadcast_to(middle[None], cameras.t.shape)) + cameras.t) / spread
    P = xp.concatenate([cameras.R, t[..., None]], axis=-1)[:, None]
    # Errors are in pixels: a longer focal length gives more pixels for the same angle.
    weights = weights * (cameras.K[:, 0, 0] / cameras.K[:, 0, 0].mean())[:, None]
    ideal = normalise(cameras, pixels)[..., None]
    rows = weights[..., None, None] * (ideal * P[..., 2:, :] - P[..., :2, :])
    system = xp.moveaxis(rows, 1, 0).reshape(pixels.shape[1], -1, 4)
    solution = xp.linalg.svd(system, full_matrices=False)[2][..., -1, :]
    points = solution[:, :3] / solution[:, 3:] * spread + middle[None]
    seen = xp.sum(weights > 0, axis=0) >= 2
    return xp.where(seen[:, None], points, xp.nan).reshape(*lead, 3)


def reprojection_errors(cameras: Camera, keypoints: ArrayT, points: ArrayT) -> ArrayT:
    """Distances `[V, ...]` in pixels from `keypoints [V, ..., 2]` to projected `points [..., 3]`.

    Infinite behind a camera, NaN where the keypoint or the point is NaN.
    """
    xp = namespace(cameras.K, keypoints, points)
    flat = prepend_axes(points.reshape(-1, 3), 3)
    seen = project(cameras, flat) - keypoints.reshape(len(keypoints), -1, 2)
    errors = xp.sqrt(xp.sum(seen * seen, axis=-1))
    behind = world_to_camera(cameras, flat)[..., 2] <= 0
    return xp.where(behind, xp.inf, errors).reshape(keypoints.shape[:-1])


def checked_views(cameras: Camera, keypoints: Any, weights: Any) -> tuple[Any, Any]:
    """Keypoints `[V, ..., 2]` and weights `[V, ...]` without NaN: missing keypoints get weight 0.

    Raises:
      InputError: as `triangulate`.
    """
    xp = namespace(cameras.K, keypoints, weights)
    keypoints = floating(keypoints, xp)
    views = cameras.K.shape[0] if cameras.K.ndim == 3 else 1
    if views < 2:
        raise InputError("triangulation needs two views or more; there is one camera only")
    if keypoints.ndim < 2 or keypoints.shape[0] != views or keypoints.shape[-1] != 2:
        raise InputError(
            f"keypoints of shape {keypoints.shape} for {views} cameras; they have to be "
            "[views, ..., 2]"
        )
    weights = xp.ones_like(keypoints[..., 0]) if weights is None else floating(weights, xp)
    if weights.shape != keypoints.shape[:-1]:
        raise InputError(f"weights of shape {weights.shape} for keypoints {keypoints.shape}")
    if isinstance(cameras.K, np.ndarray):
        check_cameras(cameras)
    finite = xp.isfinite(keypoints).all(axis=-1) & (weights > 0)
    return xp.where(finite[..., None], keypoints, 0.0), xp.where(finite, weights, 0.0)
