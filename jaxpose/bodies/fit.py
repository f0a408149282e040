"""Fit of a body model to 2D keypoints, by Levenberg-Marquardt on the reprojection error.

As SMPLify (Bogo et al., "Keep it SMPL", ECCV 2016): pixels of the body's keypoints against the
detected ones, a prior of the pose and one of the shape. A Gaussian prior takes the place of the
mixture, and Huber's loss that of Geman and McClure's. All people are fitted at once, each from
several directions, of which the best is kept.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.landmarks import Landmarks, landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, pose_prior, upright
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, project
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.skeletons import Skeleton

_METRE = 1000.0  # translations are optimised in metres, of the size of the angles
_FEWEST = 6


@dataclass(frozen=True)
class Fitting:
    """Settings of a fit.

    Attributes:
      pixel_sigma: expected error of a keypoint of score 1, as a share of the person's size.
      huber: errors above so many sigmas count linearly.
      pose_weight, shape_weight: factors on the priors; 0 switches one off.
      directions: number of directions of the person from which the fit begins.
      iterations: Levenberg-Marquardt steps from each.
      min_score: keypoints below it are not used.
    """

    pixel_sigma: float = 0.01
    huber: float = 3.0
    pose_weight: float = 1.0
    shape_weight: float = 1.0
    directions: int = 4
    iterations: int = 40
    min_score: float = 0.05


class Fitted(NamedTuple):
    """Bodies of N people in the camera's frame: x right, y down, z forward.

    Attributes:
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]` of the joints in their parents' frames, the root's in the camera's.
      translation: `[N, 3]` mm, see `pose_body`.
      keypoints: `[N, K, 3]` mm; NaN for keypoints that the body has not.
      error: `[N]` root mean square of the reprojection error, pixels.
      used: `[N]` number of keypoints that counted; people with fewer than six are NaN.
    """

    shape: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    error: np.ndarray
    used: np.ndarray


def fit_body(
    body: Body,
    skeleton: Skeleton,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    camera: Camera,
    settings: Fitting = Fitting(),
) -> Fitted:
    """Fits a body to the keypoints of each person.

    Args:
      body: the model, a whole body.
      skeleton: the skeleton of the keypoints.
      keypoints: `[N, K, 2]` pixels.
      scores: `[N, K]` in [0, 1], or None: all certain.
      camera: one camera whose frame is the world (R identity, t zero), or `[N]` of them.
      settings: see `Fitting`.

    Raises:
      InputError: shapes that do not fit; a camera that is none; a body without limbs.
    """
    keypoints = np.asarray(keypoints, np.float32)
    if keypoints.ndim != 3 or keypoints.shape[1:] != (skeleton.num_keypoints, 2):
        raise InputError(
            f"keypoints of shape {list(keypoints.shape)}; [people, {skeleton.num_keypoints}, 2] is "
            f"needed with the skeleton {skeleton.name!r}"
        )
    check_cameras(Camera(*(np.asarray(field, np.float64) for field in camera)))
    weights = np.ones(keypoints.shape[:2]) if scores is None else np.asarray(scores, np.float64)
    if weights.shape != keypoints.shape[:2]:
        raise InputError(
            f"scores of shape {list(weights.shape)} for keypoints of {list(keypoints.shape)}"
        )
    places = landmarks(body, skeleton)
    there = np.isfinite(keypoints).all(axis=-1) & np.isfinite(weights) & places.known
    weights = np.where(there & (weights >= settings.min_score), weights, 0.0).astype(np.float32)
    used = (weights > 0).sum(axis=1)
    pixels = np.where(there[..., None], keypoints, 0.0)
    size = _sizes(pixels, weights)
    cameras = jax.tree.map(jnp.float32, _stacked(camera, len(pixels)))
    prior = jax.tree.map(jnp.asarray, pose_prior(body))
    begin = jnp.asarray(upright(body), jnp.float32)
    made = _fit_all(places, prior, begin, cameras, pixels, weights, size, settings)
    shape, rotations, translation, points, error = (np.array(value) for value in made)
    points[:, ~places.known] = np.nan
    for value in (shape, rotations, translation, points, error):
        value[used < _FEWEST] = np.nan
    return Fitted(shape, rotations, translation, points, error, used)


def _stacked(camera: Camera, count: int) -> Camera:
    """One camera for each person."""
    if np.ndim(camera.t) == 2:
        return camera
    return Camera(*(np.broadcast_to(np.asarray(f), (count, *np.shape(f))) for f in camera))


def _sizes(pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Height or width of each person, the longer, `[N]` pixels, at least 1."""
    there = weights[..., None] > 0
    low = np.where(there, pixels, np.inf).min(axis=1)
    high = np.where(there, pixels, -np.inf).max(axis=1)
    extent = np.where(np.isfinite(high - low), high - low, 1.0).max(axis=-1)
    return np.maximum(extent, 1.0).astype(np.float32)


@partial(jax.jit, static_argnums=7)
def _fit_all(
    places: Landmarks,
    prior: PosePrior,
    begin: jax.Array,
    cameras: Camera,
    pixels: jax.Array,
    weights: jax.Array,
    size: jax.Array,
    settings: Fitting,
) -> tuple[jax.Array, ...]:
    angles = jnp.arange(settings.directions) * (2 * jnp.pi / settings.directions)
    about = jnp.stack([jnp.zeros_like(angles), angles, jnp.zeros_like(angles)], axis=-1)
    starts = jnp.einsum("dab,bc->dac", matrix_from_axis_angle(about), begin, precision="highest")
    one = partial(_fit_one, places, prior, settings)
    fits = jax.vmap(jax.vmap(one, (0, None, None, None, None)), (None, 0, 0, 0, 0))(
        starts, cameras, pixels, weights, size
    )
    cost, parameters = fits
    best = jnp.argmin(cost, axis=1)
    chosen = jnp.take_along_axis(parameters, best[:, None, None], axis=1)[:, 0]
    start = starts[best]

    def result(theta: jax.Array, start: jax.Array, camera: Camera, pixel: Any, weight: Any) -> Any:
        shape, rotations, translation = _unpack(places.body, theta, start)
        points = places.points(shape, rotations, translation)
        away = jnp.sum((project(camera, points) - pixel) ** 2, axis=-1)
        seen = weight > 0
        error = jnp.sqrt(jnp.sum(jnp.where(seen, away, 0.0)) / jnp.maximum(seen.sum(), 1))
        return shape, rotations, translation, points, error

    return jax.vmap(result)(chosen, start, cameras, pixels, weights)


def _unpack(body: Body, theta: jax.Array, start: jax.Array) -> tuple[jax.Array, ...]:
    """Shape, rotations and translation (mm) of the vector that is optimised."""
    count = 3 * (len(body.joints) - 1)
    translation, root, pose, shape = jnp.split(theta, [3, 6, 6 + count])
    turned = jnp.einsum("ab,bc->ac", matrix_from_axis_angle(root), start, precision="highest")
    local = matrix_from_axis_angle(pose.reshape(-1, 3))
    return shape, jnp.concatenate([turned[None], local]), translation * _METRE


def _fit_one(
    places: Landmarks,
    prior: PosePrior,
    settings: Fitting,
    start: jax.Array,
    camera: Camera,
    pixels: jax.Array,
    weights: jax.Array,
    size: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Lowest cost and its parameters `[D]` from one direction of one person."""
    body = places.body
    sigma = settings.pixel_sigma * size
    strength = jnp.sqrt(jnp.asarray([settings.pose_weight, settings.shape_weight]))

    def seen(theta: jax.Array) -> jax.Array:
        points = places.points(*_unpack(body, theta, start))
        near = points.at[:, 2].max(0.1 * _METRE)  # a point behind the camera has no image
        return (project(camera, near) - pixels) / sigma

    def believed(theta: jax.Array) -> jax.Array:
        count = len(prior.mean)
        pose, shape = theta[6 : 6 + count], theta[6 + count :]
        unusual = jnp.einsum("ab,b->a", prior.whitening, pose - prior.mean, precision="highest")
        return jnp.concatenate([strength[0] * unusual, strength[1] * shape])

    def cost(theta: jax.Array) -> jax.Array:
        length = jnp.sqrt(jnp.sum(seen(theta) ** 2, axis=-1) + 1e-12)
        loss = jnp.where(
            length < settings.huber,
            0.5 * length**2,
            settings.huber * (length - 0.5 * settings.huber),
        )
        return jnp.sum(weights * loss) + 0.5 * jnp.sum(believed(theta) ** 2)

    def step(state: tuple[Any, Any, Any], _: None) -> tuple[tuple[Any, Any, Any], None]:
        theta, damping, before = state
        off = seen(theta)
        length = jnp.sqrt(jnp.sum(off**2, axis=-1) + 1e-12)
        trust = weights * jnp.minimum(1.0, settings.huber / length)
        slopes = jax.jacfwd(seen)(theta)  # [K, 2, D]
        rows = (slopes * jnp.sqrt(trust)[:, None, None]).reshape(-1, slopes.shape[-1])
        rows = jnp.concatenate([rows, jax.jacfwd(believed)(theta)])
        errors = jnp.concatenate([(off * jnp.sqrt(trust)[:, None]).ravel(), believed(theta)])
        normal = jnp.einsum("rd,re->de", rows, rows, precision="highest")
        downhill = jnp.einsum("rd,r->d", rows, errors, precision="highest")
        ridge = damping * jnp.diag(normal) + 1e-6
        move = jax.scipy.linalg.solve(normal + jnp.diag(ridge), -downhill, assume_a="pos")
        after = cost(theta + move)
        better = after < before
        theta = jnp.where(better, theta + move, theta)
        damping = jnp.clip(jnp.where(better, damping * 0.3, damping * 8), 1e-7, 1e7)
        return (theta, damping, jnp.where(better, after, before)), None

    theta = _first(places, prior, start, camera, pixels, weights)
    state = (theta, jnp.float32(1e-2), cost(theta))
    (theta, _, lowest), _ = jax.lax.scan(step, state, None, length=settings.iterations)
    return lowest, theta


def _first(
    places: Landmarks,
    prior: PosePrior,
    start: jax.Array,
    camera: Camera,
    pixels: jax.Array,
    weights: jax.Array,
) -> jax.Array:
    """Parameters of the mean pose at the distance at which the body is as large as the person."""
    shape = jnp.zeros(places.body.num_shapes)
    theta = jnp.concatenate([jnp.zeros(6), prior.mean, shape])
    points = places.points(*_unpack(places.body, theta, start))
    share = (weights / jnp.maximum(weights.sum(), 1e-6))[:, None]
    middle, centre = jnp.sum(share * points, axis=0), jnp.sum(share * pixels, axis=0)
    # Vertical extent alone: a body that is seen from the side is narrower than one from the front.
    body_spread = jnp.sqrt(jnp.sum(share[:, 0] * (points[:, 1] - middle[1]) ** 2))
    spread = jnp.sqrt(jnp.max(jnp.sum(share * (pixels - prepend_axes(centre, 2)) ** 2, axis=0)))
    focal = camera.K[1, 1]
    depth = jnp.clip(focal * body_spread / jnp.maximum(spread, 1e-3), 300.0, 1e5)
    ray = jnp.linalg.solve(camera.K, jnp.append(centre, 1.0))
    return theta.at[:3].set((ray * depth - middle) / _METRE)
