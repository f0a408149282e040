"""Refinement of an object's pose by weighted least squares of its reprojection, and its covariance.

Written for NumPy, which keeps float64, and for JAX, where it runs in batches and has gradients.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxpose.geometry.cameras import Camera, distort_with_jacobian, to_pixels
from jaxpose.geometry.namespace import ArrayT, floating, multiply, namespace, prepend_axes
from jaxpose.geometry.rigid import RigidPose, apply_pose
from jaxpose.geometry.rotations import matrix_from_axis_angle

_DAMPING = 1e-3  # first factor on the diagonal of the normal matrix
_LEAST = 1e-12  # of a pivot, relative to its matrix
_SHARE = 1e-14  # decrease of the error, relative to it, below which NumPy's search ends


def refine_pose(
    pose: RigidPose,
    points: Any,
    pixels: ArrayT,
    camera: Camera,
    weights: Any = None,
    *,
    iterations: int = 20,
) -> RigidPose:
    """Pose that minimises the weighted squares of reprojection errors, from one close to it.

    Levenberg-Marquardt (Marquardt 1963) on a rotation vector and a translation. With the inverse
    covariances of keypoints as weights, this is the uncertainty-driven PnP of PVNet (Peng et al.
    2019, arXiv:1812.11788, eq. 7). With JAX arrays, the result has the gradients of the minimum by
    the implicit function theorem, with respect to points, pixels and weights, and none with respect
    to the start.

    Args:
      pose: the start, `[...]` poses.
      points: `[..., N, 3]` mm.
      pixels: `[..., N, 2]`.
      camera: `[...]` cameras; K and distortion are used.
      weights: `[..., N]`, or symmetric matrices `[..., N, 2, 2]` such as inverse covariances, in
        1/px²; None weighs all equally. 0 leaves a point out; its pixel must be finite.
      iterations: number of steps.
    """
    xp = namespace(pixels, points, pose.t)
    lead: tuple[int, ...] = np.broadcast_shapes(
        pose.t.shape[:-1], points.shape[:-2], pixels.shape[:-2], camera.K.shape[:-2]
    )
    pixels = xp.broadcast_to(floating(pixels, xp), (*lead, *pixels.shape[-2:]))
    kind = pixels.dtype
    points = xp.broadcast_to(xp.asarray(points, kind), (*lead, *points.shape[-2:]))
    weights = xp.broadcast_to(_matrices(weights, points, xp), (*points.shape[:-1], 2, 2))
    R = xp.broadcast_to(xp.asarray(pose.R, kind), (*lead, 3, 3))
    t = xp.broadcast_to(xp.asarray(pose.t, kind), (*lead, 3))
    views = Camera(
        xp.broadcast_to(xp.asarray(camera.K, kind), (*lead, 3, 3)),
        None,
        None,
        xp.broadcast_to(xp.asarray(camera.distortion, kind), (*lead, camera.distortion.shape[-1])),
    )
    state = RigidPose(R, t), xp.full(lead, _DAMPING, kind)
    if xp is np:
        before = _error(state[0], points, pixels, views, weights).sum()
        for _ in range(iterations):
            state = _step(*state, points, pixels, views, weights)
            after = _error(state[0], points, pixels, views, weights).sum()
            # A rejected step only raises the damping: the search goes on. An infinite error is that
            # of a start with points behind the camera.
            if after < before < np.inf and before - after <= _SHARE * before:
                break
            before = after
        return state[0]
    fixed = jax.tree.map(lax.stop_gradient, (points, pixels, views, weights))
    start = jax.tree.map(lax.stop_gradient, state)
    found, _ = lax.fori_loop(0, iterations, lambda _, s: _step(*s, *fixed), start)
    return _newton(found, points, pixels, views, weights)


def pose_covariance(
    pose: RigidPose, points: Any, camera: Camera, weights: Any = None
) -> np.ndarray | jax.Array:
    """Covariance `[..., 6, 6]` of a refined pose: a rotation vector (rad), then translation (mm).

    The inverse of the normal matrix: first-order propagation of the keypoints' covariances, whose
    inverses are the weights (see `refine_pose`). The rotation is in the camera's frame.
    """
    xp = namespace(points, pose.t)
    points = floating(points, xp)
    weights = _matrices(weights, points, xp)
    _, slope = _projected(pose, points, camera)
    return xp.linalg.inv(_normal(slope, weights)[0])


def _matrices(weights: Any, points: Any, xp: Any) -> Any:
    """Weights as matrices `[..., N, 2, 2]`."""
    if weights is None:
        weights = xp.ones(points.shape[:-1], points.dtype)
    weights = xp.asarray(weights, points.dtype)
    if weights.shape[-2:] == (2, 2) and weights.ndim > 2:
        return weights
    eye = prepend_axes(xp.eye(2, dtype=points.dtype), weights.ndim + 2)
    return weights[..., None, None] * eye


def _projected(pose: RigidPose, points: Any, camera: Camera) -> tuple[Any, Any]:
    """Pixels `[..., N, 2]`, and their derivatives `[..., N, 2, 6]` by a turn and a shift."""
    xp = namespace(points, pose.t)
    local = apply_pose(pose, points)
    depth = local[..., 2:]
    ideal = local[..., :2] / depth
    seen, (a, b, c, d) = distort_with_jacobian(camera.distortion, ideal)
    pixels = to_pixels(camera.K, seen)
    fx, skew, fy = camera.K[..., 0, 0], camera.K[..., 0, 1], camera.K[..., 1, 1]
    fx, skew, fy = (value[..., None] for value in (fx, skew, fy))
    # By the ideal point: K times the lens.
    lens = xp.stack(
        [
            xp.stack([fx * a + skew * c, fx * b + skew * d], axis=-1),
            xp.stack([fy * c, fy * d], axis=-1),
        ],
        axis=-2,
    )
    zero, one = xp.zeros_like(depth[..., 0]), xp.ones_like(depth[..., 0])
    x, y = ideal[..., 0], ideal[..., 1]
    by_local = xp.stack(
        [xp.stack([one, zero, -x], axis=-1), xp.stack([zero, one, -y], axis=-1)], axis=-2
    )
    by_local = multiply(lens, by_local / depth[..., None])
    # A small turn w about the object's origin moves a point by w x (R p).
    arm = local - prepend_axes(pose.t, local.ndim - 1)[..., None, :]
    u, v, w = (arm[..., i] for i in range(3))
    rows = ((zero, w, -v), (-w, zero, u), (v, -u, zero))
    turned = xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)
    return pixels, xp.concatenate([multiply(by_local, turned), by_local], axis=-1)


def _normal(slope: Any, weights: Any, away: Any = None) -> tuple[Any, Any]:
    """Normal matrix `[..., 6, 6]`, and the gradient `[..., 6]` for residuals `[..., N, 2]`."""
    xp = namespace(slope)
    weighted = multiply(weights, slope)
    matrix = xp.sum(multiply(xp.swapaxes(slope, -1, -2), weighted), axis=-3)
    if away is None:
        return matrix, None
    return matrix, xp.sum(weighted * away[..., None], axis=(-3, -2))


def _error(pose: RigidPose, points: Any, pixels: Any, camera: Camera, weights: Any) -> Any:
    """Half the weighted sum of squares `[...]`."""
    xp = namespace(pixels)
    local = apply_pose(pose, points)
    ideal = local[..., :2] / local[..., 2:]
    seen, _ = distort_with_jacobian(camera.distortion, ideal)
    away = to_pixels(camera.K, seen) - pixels
    total = 0.5 * xp.sum(away[..., :, None] * weights * away[..., None, :], axis=(-3, -2, -1))
    behind = xp.any(local[..., 2] <= 0, axis=-1)
    return xp.where(behind, xp.inf, total)


def _moved(pose: RigidPose, change: Any) -> RigidPose:
    R = multiply(matrix_from_axis_angle(change[..., :3]), pose.R)
    return RigidPose(R, pose.t + change[..., 3:])


def _solve(matrix: Any, vector: Any) -> Any:
    """Solution of symmetric systems `[..., 6, 6]`, scaled so that radians and mm are alike."""
    xp = namespace(matrix)
    scale = xp.sqrt(xp.maximum(xp.diagonal(matrix, axis1=-2, axis2=-1), _LEAST))
    scaled = matrix / (scale[..., :, None] * scale[..., None, :])
    ridge = prepend_axes(xp.eye(6, dtype=matrix.dtype), matrix.ndim) * _LEAST
    return xp.linalg.solve(scaled + ridge, (vector / scale)[..., None])[..., 0] / scale


def _step(
    pose: RigidPose, damping: Any, points: Any, pixels: Any, camera: Camera, weights: Any
) -> tuple[RigidPose, Any]:
    """One step of Levenberg-Marquardt: the pose and the damping after it."""
    xp = namespace(pixels)
    seen, slope = _projected(pose, points, camera)
    matrix, gradient = _normal(slope, weights, seen - pixels)
    diagonal = xp.diagonal(matrix, axis1=-2, axis2=-1)[..., None]
    eye = prepend_axes(xp.eye(6, dtype=matrix.dtype), matrix.ndim)
    change = -_solve(matrix + damping[..., None, None] * diagonal * eye, gradient)
    moved = _moved(pose, change)
    before = _error(pose, points, pixels, camera, weights)
    # False for a step that is not finite, too.
    better = _error(moved, points, pixels, camera, weights) < before
    kept = RigidPose(
        xp.where(better[..., None, None], moved.R, pose.R),
        xp.where(better[..., None], moved.t, pose.t),
    )
    return kept, xp.clip(xp.where(better, damping / 10, damping * 10), 1e-9, 1e9)


def _newton(pose: RigidPose, points: Any, pixels: Any, camera: Camera, weights: Any) -> RigidPose:
    """Pose after one Newton step, whose gradients are those of the minimum.

    At a minimum the step is zero, and its derivative is -H⁻¹ times that of the gradient, with the
    full Hessian H: the implicit function theorem.
    """
    lead = pose.t.shape[:-1]
    pose = jax.tree.map(lax.stop_gradient, pose)

    def error(change, pose, *inputs):
        return _error(_moved(pose, change), *inputs)

    def step(pose, *inputs):
        fixed = jax.tree.map(lax.stop_gradient, inputs)
        matrix = jax.hessian(error)(jnp.zeros(6, pose.t.dtype), pose, *fixed)
        gradient = jax.grad(error)(jnp.zeros(6, pose.t.dtype), pose, *inputs)
        return -_solve(matrix, gradient)

    for _ in lead:
        step = jax.vmap(step)
    change = step(pose, points, pixels, camera, weights)
    # Only the derivative is used: near a flat minimum, the step itself has rounding errors.
    return _moved(pose, change - lax.stop_gradient(change))
