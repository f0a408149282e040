"""Fit of a body model to 2D keypoints, by Levenberg-Marquardt on the reprojection error.

As SMPLify (Bogo et al., "Keep it SMPL", ECCV 2016): pixels of the body's keypoints against the
detected ones, a prior of the pose and one of the shape. A Gaussian prior takes the place of the
mixture, and Huber's loss that of Geman and McClure's. All people are fitted at once, each from
several directions, of which the best is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.landmarks import Landmarks, landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, PriorNumbers, beginnings, pose_prior
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, project
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.geometry.procrustes import procrustes
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.skeletons import Skeleton

_METRE = 1000.0  # translations are optimised in metres, of the size of the angles
_FEWEST = 6
_TRIED = 10  # iterations of every start; the most promising ones get the rest

_State = tuple[Any, Any, Any]
"""Parameters `[D]`, damping and cost of a fit."""


@dataclass(frozen=True)
class Fitting:
    """Settings of a fit.

    Attributes:
      pixel_sigma: expected error of a keypoint of score 1, as a share of the person's size.
      huber: errors above so many sigmas count linearly.
      pose_weight, shape_weight: factors on the priors; 0 switches one off.
      directions: number of directions of the person that are tried with each mean of the prior.
      starts: number of these that are followed to the end, those of the lowest costs after ten
        iterations.
      iterations: Levenberg-Marquardt steps.
      min_score: keypoints below it are not used.
    """

    pixel_sigma: float = 0.01
    huber: float = 3.0
    pose_weight: float = 1.0
    shape_weight: float = 1.0
    directions: int = 4
    starts: int = 4
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


class _Person(NamedTuple):
    """Measurements of one person, or of N in arrays with a first axis more.

    Attributes:
      camera: None where the targets are points in 3D.
      target: `[K, 2]` pixels or `[K, 3]` mm.
      weights: `[K]`; 0 for keypoints that do not count.
      size: longest extent in the unit of the targets.
    """

    camera: Camera | None
    target: Any
    weights: Any
    size: Any


def fit_body(
    body: Body,
    skeleton: Skeleton,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    camera: Camera,
    settings: Fitting = Fitting(),
    prior: PosePrior | None = None,
) -> Fitted:
    """Fits a body to the keypoints of each person.

    Args:
      body: the model: a whole body, or a hand of MANO.
      skeleton: the skeleton of the keypoints.
      keypoints: `[N, K, 2]` pixels.
      scores: `[N, K]` in [0, 1], or None: all certain.
      camera: one camera whose frame is the world (R identity, t zero), or `[N]` of them.
      settings: see `Fitting`.
      prior: of the body's pose and shape; that of drawn people if None. A hand needs its own, see
        `bodies.hands.hand_prior`.

    Raises:
      InputError: shapes that do not fit; a camera that is none; a body without limbs; a prior of
        another body.
    """
    check_cameras(Camera(*(np.asarray(field, np.float64) for field in camera)))
    cameras = jax.tree.map(jnp.float32, _stacked(camera, len(keypoints)))
    return _fit(body, skeleton, keypoints, scores, cameras, settings, prior)


def fit_body_3d(
    body: Body,
    skeleton: Skeleton,
    points: np.ndarray,
    scores: np.ndarray | None = None,
    settings: Fitting = Fitting(),
    prior: PosePrior | None = None,
) -> Fitted:
    """Fits a body to the 3D keypoints of each person.

    Points leave the turn of a bone about itself open; the prior decides there.

    Args:
      points: `[N, K, 3]` mm, in any right-handed frame with x right, y down and z forward; NaN
        where unknown.
      body, skeleton, scores, settings, prior: as in `fit_body`; `Fitting.directions` has no effect.

    Returns:
      Bodies in the frame of the points; `error` is in mm.

    Raises:
      InputError: as `fit_body`.
    """
    return _fit(body, skeleton, points, scores, None, settings, prior)


def fit_in_groups(count: int, size: int, fit: Callable[[np.ndarray], Fitted]) -> Fitted:
    """Fits N people a group at a time; the last is filled up, so that one program fits all.

    Args:
      count: N.
      size: people of a group.
      fit: fits the people of these numbers `[size]`.
    """
    parts = []
    for start in range(0, count, size):
        take = np.arange(start, min(start + size, count))
        parts.append(Fitted(*(value[: len(take)] for value in fit(np.resize(take, size)))))
    return Fitted(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _fit(
    body: Body,
    skeleton: Skeleton,
    targets: np.ndarray,
    scores: np.ndarray | None,
    cameras: Camera | None,
    settings: Fitting,
    prior: PosePrior | None,
) -> Fitted:
    """Fits to pixels `[N, K, 2]` before cameras, or to points `[N, K, 3]` without."""
    targets = np.asarray(targets, np.float32)
    axes = 3 if cameras is None else 2
    if targets.ndim != 3 or targets.shape[1:] != (skeleton.num_keypoints, axes):
        raise InputError(
            f"keypoints of shape {list(targets.shape)}; [people, {skeleton.num_keypoints}, {axes}] "
            f"is needed with the skeleton {skeleton.name!r}"
        )
    weights = np.ones(targets.shape[:2]) if scores is None else np.asarray(scores, np.float64)
    if weights.shape != targets.shape[:2]:
        raise InputError(
            f"scores of shape {list(weights.shape)} for keypoints of {list(targets.shape)}"
        )
    places = landmarks(body, skeleton)
    prior = pose_prior(body) if prior is None else prior.of(body)
    there = np.isfinite(targets).all(axis=-1) & np.isfinite(weights) & places.known
    weights = np.where(there & (weights >= settings.min_score), weights, 0.0).astype(np.float32)
    used = (weights > 0).sum(axis=1)
    targets = np.where(there[..., None], targets, 0.0)
    people = _Person(cameras, targets, weights, _sizes(targets, weights))
    begin = jnp.asarray(beginnings(body), jnp.float32)
    made = _fit_all(places, prior.numbers, begin, people, settings)
    shape, rotations, translation, points, error = (np.array(value) for value in made)
    points[:, ~np.asarray(places.known)] = np.nan
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


@partial(jax.jit, static_argnums=4)
def _fit_all(
    places: Landmarks, prior: PriorNumbers, begin: jax.Array, people: _Person, settings: Fitting
) -> tuple[jax.Array, ...]:
    return jax.vmap(partial(_fit_one, places, prior, settings, begin))(people)


def _fit_one(
    places: Landmarks, prior: PriorNumbers, settings: Fitting, begin: jax.Array, person: _Person
) -> tuple[jax.Array, ...]:
    """Shape, rotations, translation, points and error of one person."""
    count = 1 if person.camera is None else settings.directions
    angles = jnp.arange(count) * (2 * jnp.pi / count)
    about = jnp.stack([jnp.zeros_like(angles), angles, jnp.zeros_like(angles)], axis=-1)
    turned = matrix_from_axis_angle(about)
    starts = jnp.einsum("dab,xbc->xdac", turned, begin, precision="highest").reshape(-1, 3, 3)
    # Every direction with every mean pose; after a few steps only the best ones go on.
    first = jax.vmap(partial(_first, places, person), (None, 0))
    starts, thetas = jax.vmap(first, (0, None))(starts, prior.means)
    starts, thetas = starts.reshape(-1, 3, 3), thetas.reshape(-1, thetas.shape[-1])
    problem = partial(_Problem, places, prior, settings, person)
    solve = jax.vmap(lambda start, state, steps: _solve(problem(start), state, steps), (0, 0, None))
    costs = jax.vmap(lambda start, theta: problem(start).cost(theta))(starts, thetas)
    tried = min(_TRIED, settings.iterations)
    state = solve(starts, (thetas, jnp.full(len(costs), 1e-2), costs), tried)
    kept = jnp.argsort(state[2])[: min(settings.starts, len(costs))]
    state = jax.tree.map(lambda value: value[kept], state)
    theta, _, costs = solve(starts[kept], state, settings.iterations - tried)
    best = jnp.argmin(costs)
    shape, rotations, translation = _unpack(places.body, theta[best], starts[kept][best])
    points = places.points(shape, rotations, translation)
    away = jnp.sum((_measured(person.camera, points) - person.target) ** 2, axis=-1)
    seen = person.weights > 0
    error = jnp.sqrt(jnp.sum(jnp.where(seen, away, 0.0)) / jnp.maximum(seen.sum(), 1))
    return shape, rotations, translation, points, error


def _unpack(body: Body, theta: jax.Array, start: jax.Array) -> tuple[jax.Array, ...]:
    """Shape, rotations and translation (mm) of the vector that is optimised."""
    count = 3 * (len(body.joints) - 1)
    translation, root, pose, shape = jnp.split(theta, [3, 6, 6 + count])
    turned = jnp.einsum("ab,bc->ac", matrix_from_axis_angle(root), start, precision="highest")
    local = matrix_from_axis_angle(pose.reshape(-1, 3))
    return shape, jnp.concatenate([turned[None], local]), translation * _METRE


def _measured(camera: Camera | None, points: jax.Array) -> jax.Array:
    """Pixels of points `[K, 3]` before a camera; the points themselves without."""
    if camera is None:
        return points
    return project(camera, points.at[:, 2].max(0.1 * _METRE))  # points behind have no image


class _Problem(NamedTuple):
    """Cost of the parameters of one person; its residuals and their slopes.

    The prior is the least over its components of half the squared distance and a constant. At any
    parameters the nearest component alone is not below it anywhere, so that a step which lowers
    that one lowers the cost.
    """

    places: Landmarks
    prior: PriorNumbers
    settings: Fitting
    person: _Person
    start: jax.Array

    def seen(self, theta: jax.Array) -> jax.Array:
        """Errors of the keypoints in expected errors, `[K, 2 or 3]`."""
        points = self.places.points(*_unpack(self.places.body, theta, self.start))
        off = _measured(self.person.camera, points) - self.person.target
        return off / (self.settings.pixel_sigma * self.person.size)

    def features(self, theta: jax.Array) -> jax.Array:
        """Pose and the direction up in the frame of the root, `[3 (J - 1) + 3]`."""
        turn = matrix_from_axis_angle(theta[3:6])
        turned = jnp.einsum("ab,bc->ac", turn, self.start, precision="highest")
        return jnp.concatenate([theta[6 : 6 + 3 * (len(self.places.body.joints) - 1)], -turned[1]])

    def believed(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Residuals of the priors, their slopes `[R, D]` and the constant to add."""
        prior, weights = self.prior, (self.settings.pose_weight, self.settings.shape_weight)
        features = self.features(theta)
        count = len(features) - 3
        off = prepend_axes(features, 2) - prior.means
        unusual = jnp.einsum("cab,cb->ca", prior.whitenings, off, precision="highest")
        costs = 0.5 * jnp.sum(unusual**2, axis=-1) + prior.penalties
        chosen = jnp.argmin(costs)
        whitening = prior.whitenings[chosen] * jnp.sqrt(weights[0])
        shape = prior.shape_whitening * jnp.sqrt(weights[1])
        pose_slopes = jnp.einsum(
            "ab,bd->ad", whitening, jax.jacfwd(self.features)(theta), precision="highest"
        )
        shape_slopes = jnp.pad(shape, ((0, 0), (6 + count, 0)))
        of_shape = jnp.einsum(
            "ab,b->a", shape, theta[6 + count :] - prior.shape_mean, precision="highest"
        )
        residuals = jnp.concatenate([unusual[chosen] * jnp.sqrt(weights[0]), of_shape])
        slopes = jnp.concatenate([pose_slopes, shape_slopes])
        return residuals, slopes, weights[0] * prior.penalties[chosen]

    def cost(self, theta: jax.Array) -> jax.Array:
        """Huber's loss of the keypoints' errors and the priors."""
        huber = self.settings.huber
        length = jnp.sqrt(jnp.sum(self.seen(theta) ** 2, axis=-1) + 1e-12)
        loss = jnp.where(length < huber, 0.5 * length**2, huber * (length - 0.5 * huber))
        residuals, _, constant = self.believed(theta)
        return jnp.sum(self.person.weights * loss) + 0.5 * jnp.sum(residuals**2) + constant


def _solve(problem: _Problem, state: _State, steps: int) -> _State:
    """Steps of Levenberg-Marquardt from a state."""

    def step(state: _State, _: None) -> tuple[_State, None]:
        theta, damping, before = state
        off = problem.seen(theta)
        length = jnp.sqrt(jnp.sum(off**2, axis=-1) + 1e-12)
        trust = problem.person.weights * jnp.minimum(1.0, problem.settings.huber / length)
        slopes = jax.jacfwd(problem.seen)(theta)  # [K, 2 or 3, D]
        rows = (slopes * jnp.sqrt(trust)[:, None, None]).reshape(-1, slopes.shape[-1])
        usual, usual_slopes = problem.believed(theta)[:2]
        rows = jnp.concatenate([rows, usual_slopes])
        errors = jnp.concatenate([(off * jnp.sqrt(trust)[:, None]).ravel(), usual])
        normal = jnp.einsum("rd,re->de", rows, rows, precision="highest")
        downhill = jnp.einsum("rd,r->d", rows, errors, precision="highest")
        ridge = damping * jnp.diag(normal) + 1e-6
        move = jax.scipy.linalg.solve(normal + jnp.diag(ridge), -downhill, assume_a="pos")
        after = problem.cost(theta + move)
        better = after < before
        theta = jnp.where(better, theta + move, theta)
        damping = jnp.clip(jnp.where(better, damping * 0.3, damping * 8), 1e-7, 1e7)
        return (theta, damping, jnp.where(better, after, before)), None

    return jax.lax.scan(step, state, None, length=steps)[0]


def _first(
    places: Landmarks, person: _Person, start: jax.Array, mean: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Rotation of the root and parameters of a mean pose that lies on the person.

    Before a camera it is moved to the distance at which the body is as large as the person; to
    points it is turned and moved.
    """
    theta = jnp.concatenate([jnp.zeros(6), mean[:-3], jnp.zeros(places.body.num_shapes)])
    points = places.points(*_unpack(places.body, theta, start))
    share = (person.weights / jnp.maximum(person.weights.sum(), 1e-6))[:, None]
    centre = jnp.sum(share * person.target, axis=0)
    if person.camera is None:
        turn = procrustes(points, person.target, person.weights, scale=False).R
        start = jnp.einsum("ab,bc->ac", turn, start, precision="highest")
        points = places.points(*_unpack(places.body, theta, start))
        return start, theta.at[:3].set((centre - jnp.sum(share * points, axis=0)) / _METRE)
    middle = jnp.sum(share * points, axis=0)
    # The longer extent alone: a body that is seen from the side is narrower than from the front.
    across = points[:, :2] - prepend_axes(middle[:2], 2)
    body_spread = jnp.sqrt(jnp.max(jnp.sum(share * across**2, axis=0)))
    off = person.target - prepend_axes(centre, 2)
    spread = jnp.sqrt(jnp.max(jnp.sum(share * off**2, axis=0)))
    focal = person.camera.K[1, 1]
    depth = jnp.clip(focal * body_spread / jnp.maximum(spread, 1e-3), 300.0, 1e5)
    ray = jnp.linalg.solve(person.camera.K, jnp.append(centre, 1.0))
    return start, theta.at[:3].set((ray * depth - middle) / _METRE)
