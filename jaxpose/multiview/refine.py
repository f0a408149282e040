"""Refinement of 3D points by reprojection error, with priors on bone lengths and motion.

Maximum likelihood under Gaussian pixel noise, by Levenberg-Marquardt in JAX. The priors keep bone
lengths constant over a clip and accelerations small; both are soft and have physical units.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.bones import check_millimetres
from jaxpose.geometry.cameras import Camera, check_cameras, project
from jaxpose.geometry.namespace import prepend_axes, transform
from jaxpose.multiview.triangulate import checked_views


class Priors(NamedTuple):
    """Prior knowledge about a clip; each sigma is one standard deviation.

    Attributes:
      bones: (from, to) joint indices of rigid bones, such as `Skeleton.limb_indices`.
      bone_sigma: deviation of a bone's length from its mean over the clip, mm.
      fps: frames per second.
      acceleration_sigma: acceleration of each coordinate, mm/s²; everyday motion has 2,000 to
        10,000.
    """

    bones: Sequence[tuple[int, int]] = ()
    bone_sigma: float = 5.0
    fps: float = 50.0
    acceleration_sigma: float = 5000.0


def refine(
    cameras: Camera,
    keypoints: Any,
    points: Any,
    weights: Any = None,
    *,
    pixel_sigma: float = 5.0,
    huber: float = 3.0,
    priors: Priors | None = None,
    iterations: int = 10,
) -> jax.Array:
    """Moves points to minimise the reprojection error.

    Args:
      cameras: `[V]`.
      keypoints: `[V, T, K, 2]` pixels of T frames in order.
      points: `[T, K, 3]` mm to start from, finite: fill gaps first (`motion.fill`).
      weights: `[V, T, K]` confidences, 0 where missing.
      pixel_sigma: expected noise of a keypoint of weight 1, pixels.
      huber: errors above so many sigmas count linearly (Huber's loss).
      priors: None to refine each point by itself; then a point in fewer than two views stays.
      iterations: Levenberg-Marquardt steps.

    Returns:
      float32 `[T, K, 3]` mm.

    Raises:
      InputError: as `triangulate`; shapes that do not fit; points that are not finite; bone lengths
        that do not fit a body in millimetres.
    """
    check_cameras(Camera(*(np.asarray(field, np.float64) for field in cameras)))
    keypoints, weights = checked_views(cameras, np.asarray(keypoints), weights)
    start = np.asarray(points, np.float32)
    if start.ndim != 3 or start.shape != (*keypoints.shape[1:-1], 3):
        raise InputError(
            f"points of shape {start.shape} for keypoints {keypoints.shape}; they have to be "
            "[frames, joints, 3] and [views, frames, joints, 2]"
        )
    if not np.isfinite(start).all():
        raise InputError("points to refine are not finite; fill the gaps first (motion.fill)")
    if priors is not None:
        # A list of bones, which `Skeleton.limb_indices` is, has no hash for the compiled function.
        priors = priors._replace(bones=tuple((int(a), int(b)) for a, b in priors.bones))
        if priors.bones:
            check_millimetres(start, priors.bones)
    if priors is None:
        weights = weights * (np.sum(weights > 0, axis=0) >= 2)[None]
    cameras = jax.tree.map(lambda field: jnp.asarray(field, jnp.float32), cameras)
    observed = jnp.asarray(keypoints, jnp.float32), jnp.asarray(weights, jnp.float32)
    scales = jnp.asarray([pixel_sigma, huber], jnp.float32)
    return _descend(cameras, *observed, jnp.asarray(start), scales, priors, iterations)


@partial(jax.jit, static_argnums=(5, 6))
def _descend(
    cameras: Camera,
    keypoints: jax.Array,
    weights: jax.Array,
    start: jax.Array,
    scales: jax.Array,
    priors: Priors | None,
    iterations: int,
) -> jax.Array:
    sigma, huber = scales
    seen = partial(_pixel_residuals, cameras, keypoints, sigma)
    believed = partial(_prior_residuals, priors)

    def cost(points: jax.Array) -> jax.Array:
        length = _length(seen(points))
        loss = jnp.where(length < huber, 0.5 * length**2, huber * (length - 0.5 * huber))
        return jnp.sum(weights * loss) + 0.5 * jnp.sum(believed(points) ** 2)

    def step(state: tuple[Any, Any, Any], _: None) -> tuple[tuple[Any, Any, Any], None]:
        points, damping, before = state
        residuals = seen(points)
        trust = weights * jnp.minimum(1.0, huber / jnp.maximum(_length(residuals), 1e-6))
        slopes = _pixel_slopes(cameras, points) / sigma
        normal = _normal_matrices(slopes, trust)
        downhill = jnp.sum(trust[..., None] * jnp.sum(slopes * residuals[..., None], -2), axis=0)
        prior, forward = jax.linearize(believed, points)
        (backward,) = (jax.linear_transpose(forward, points),)
        gradient = downhill + backward(prior)[0]
        # The priors' part of the diagonal is the cost of shifting one coordinate alone.
        inertia = _prior_diagonal(priors, points)
        ridge = damping * (jnp.trace(normal, axis1=-2, axis2=-1)[..., None] / 3 + inertia) + 1e-9

        def curvature(move: jax.Array) -> jax.Array:
            return transform(normal, move) + backward(forward(move))[0] + ridge * move

        blocks = normal + (inertia + ridge)[..., None] * prepend_axes(jnp.eye(3), normal.ndim)
        inverse = jnp.linalg.inv(blocks)
        move, _ = jax.scipy.sparse.linalg.cg(
            curvature, -gradient, M=lambda v: transform(inverse, v), maxiter=40, tol=1e-4
        )
        after = cost(points + move)
        better = after < before
        points = jnp.where(better, points + move, points)
        damping = jnp.where(better, damping * 0.3, damping * 10)
        return (points, damping, jnp.minimum(after, before)), None

    state = (start, jnp.float32(1e-3), cost(start))
    (points, _, _), _ = jax.lax.scan(step, state, None, length=iterations)
    return points


def _pixel_residuals(
    cameras: Camera, keypoints: jax.Array, sigma: jax.Array, points: jax.Array
) -> jax.Array:
    """Residuals `[V, T, K, 2]` in sigmas."""
    return (_seen(cameras, points) - keypoints) / sigma


def _seen(cameras: Camera, points: jax.Array) -> jax.Array:
    return project(cameras.take((slice(None), None)), points[None])


def _pixel_slopes(cameras: Camera, points: jax.Array) -> jax.Array:
    """Derivatives of pixels by the three coordinates of their point, `[V, T, K, 2, 3]`."""
    axes = jnp.broadcast_to(jnp.eye(3)[:, None, None], (3, *points.shape))
    along = jax.vmap(lambda v: jax.jvp(partial(_seen, cameras), (points,), (v,))[1])(axes)
    return jnp.moveaxis(along, 0, -1)


def _normal_matrices(slopes: jax.Array, trust: jax.Array) -> jax.Array:
    """Sum over views of trust JᵀJ, `[T, K, 3, 3]`."""
    squares = jnp.sum(slopes[..., :, :, None] * slopes[..., :, None, :], axis=-3)
    return jnp.sum(trust[..., None, None] * squares, axis=0)


def _prior_residuals(priors: Priors | None, points: jax.Array) -> jax.Array:
    """Residuals of all priors in sigmas, `[M]`."""
    if priors is None:
        return jnp.zeros(0)
    found = [jnp.zeros(0)]
    if priors.bones:
        start, end = np.asarray(priors.bones).T
        length = jnp.sqrt(jnp.sum((points[:, end] - points[:, start]) ** 2, axis=-1) + 1e-6)
        stray = length - length.mean(axis=0, keepdims=True)
        found.append(stray.ravel() / priors.bone_sigma)
    if points.shape[0] > 2:
        bend = points[2:] - 2 * points[1:-1] + points[:-2]
        found.append(bend.ravel() * (priors.fps**2 / priors.acceleration_sigma))
    return jnp.concatenate(found)


def _prior_diagonal(priors: Priors | None, points: jax.Array) -> jax.Array:
    """Magnitude of the diagonal of the priors' normal matrix, `[T, K, 1]`."""
    diagonal = np.zeros((*points.shape[:2], 1), np.float32)
    if priors is None:
        return jnp.asarray(diagonal)
    for joint in np.asarray(priors.bones, int).ravel():
        diagonal[:, joint] += 1 / (3 * priors.bone_sigma**2)
    bend = (priors.fps**2 / priors.acceleration_sigma) ** 2
    for offset, factor in ((0, 1), (1, 4), (2, 1)):
        diagonal[offset : max(offset, len(diagonal) - 2 + offset)] += factor * bend
    return jnp.asarray(diagonal)


def _length(vectors: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vectors * vectors, axis=-1) + 1e-12)
