"""Fit of a body model to 2D keypoints, by Levenberg-Marquardt on the reprojection error.

As SMPLify (Bogo et al., "Keep it SMPL", ECCV 2016): pixels of the body's keypoints against the
detected ones, a prior of the pose and one of the shape. A Gaussian prior takes the place of the
mixture, and Huber's loss that of Geman and McClure's. All people are fitted at once, each from
several directions, of which the best is kept.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.fit_problem import METRE, Fitting, Person, Problem, end_of, solve, unpack
from jaxpose.bodies.landmarks import Landmarks, landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, PriorNumbers, beginnings, pose_prior
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.geometry.procrustes import procrustes
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.skeletons import Skeleton

DEFAULT = Fitting()
FEWEST = 6
_TRIED = 10  # iterations of every start; the most promising ones get the rest


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


class FitTask(NamedTuple):
    """Arguments of the program that fits N people.

    Attributes:
      places: the keypoints on the body.
      prior: of the pose and the shape.
      begin: `[B, 3, 3]` rotations of the root from which a fit begins, see `beginnings`.
      people: N of them.
    """

    places: Landmarks
    prior: PriorNumbers
    begin: np.ndarray
    people: Person

    @property
    def used(self) -> np.ndarray:
        """Number of keypoints that count, `[N]`."""
        return (self.people.weights > 0).sum(axis=1)

    def take(self, rows: np.ndarray) -> "FitTask":
        """The task of some of the people."""
        return self._replace(people=jax.tree.map(lambda value: value[rows], self.people))


class Valleys(NamedTuple):
    """Minima that C starts of each of N people lead to.

    Attributes:
      shape, rotations, translation, keypoints, error: as in `Fitted`, `[N, C, ...]`.
      costs: `[N, C]`.
    """

    shape: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    error: np.ndarray
    costs: np.ndarray

    def chosen(self, at: np.ndarray, task: FitTask) -> Fitted:
        """One minimum of each person, by numbers `[N]`; NaN for people of few keypoints."""
        shape, rotations, translation, keypoints, error = (
            value[np.arange(len(at)), at] for value in self[:5]
        )
        keypoints[:, ~np.asarray(task.places.known)] = np.nan
        used = task.used
        for value in (shape, rotations, translation, keypoints, error):
            value[used < FEWEST] = np.nan
        return Fitted(shape, rotations, translation, keypoints, error, used)

    def best(self, task: FitTask) -> Fitted:
        """The minimum of the least cost of each person."""
        return self.chosen(np.argmin(self.costs, axis=1), task)


Group = TypeVar("Group", Fitted, Valleys)


def fit_body(
    body: Body,
    skeleton: Skeleton,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    camera: Camera,
    settings: Fitting = DEFAULT,
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
    task = fit_task(body, skeleton, keypoints, scores, camera, settings, prior)
    return valleys(task, settings).best(task)


def fit_body_3d(
    body: Body,
    skeleton: Skeleton,
    points: np.ndarray,
    scores: np.ndarray | None = None,
    settings: Fitting = DEFAULT,
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
    task = fit_task(body, skeleton, points, scores, None, settings, prior)
    return valleys(task, settings).best(task)


def fit_in_groups(count: int, size: int, fit: Callable[[np.ndarray], Group]) -> Group:
    """Fits N people a group at a time; the last is filled up, so that one program fits all.

    Args:
      count: N.
      size: people of a group.
      fit: fits the people of these numbers `[size]`.
    """
    parts = []
    for start in range(0, count, size):
        take = np.arange(start, min(start + size, count))
        made = fit(np.resize(take, size))
        parts.append([value[: len(take)] for value in made])
    return type(made)(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def fit_task(
    body: Body,
    skeleton: Skeleton,
    targets: np.ndarray,
    scores: np.ndarray | None,
    cameras: Camera | None,
    settings: Fitting,
    prior: PosePrior | None,
) -> FitTask:
    """Checks and prepares what is fitted; the arguments are those of `fit_body`.

    Args:
      targets: `[N, K, 2]` pixels before cameras, or `[N, K, 3]` mm without.
      cameras: one, or `[N]`, or None.

    Raises:
      InputError: as `fit_body`.
    """
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
    if cameras is not None:
        check_cameras(Camera(*(np.asarray(field, np.float64) for field in cameras)))
        cameras = jax.tree.map(np.float32, _stacked(cameras, len(targets)))
    places = landmarks(body, skeleton)
    prior = pose_prior(body) if prior is None else prior.of(body)
    there = np.isfinite(targets).all(axis=-1) & np.isfinite(weights) & places.known
    weights = np.where(there & (weights >= settings.min_score), weights, 0.0).astype(np.float32)
    targets = np.where(there[..., None], targets, 0.0)
    people = Person(cameras, targets, weights, _sizes(targets, weights))
    return FitTask(places, prior.numbers, beginnings(body).astype(np.float32), people)


def valleys(task: FitTask, settings: Fitting) -> Valleys:
    """Follows the starts of each person to the end."""
    made = _fit_all(task.places, task.prior, task.begin, task.people, settings)
    return Valleys(*(np.array(value) for value in made))


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
    places: Landmarks, prior: PriorNumbers, begin: jax.Array, people: Person, settings: Fitting
) -> tuple[jax.Array, ...]:
    return jax.vmap(partial(_fit_one, places, prior, settings, begin))(people)


def _fit_one(
    places: Landmarks, prior: PriorNumbers, settings: Fitting, begin: jax.Array, person: Person
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
    problem = partial(Problem, places, prior, settings, person)
    follow = jax.vmap(lambda start, state, steps: solve(problem(start), state, steps), (0, 0, None))
    costs = jax.vmap(lambda start, theta: problem(start).cost(theta))(starts, thetas)
    tried = min(_TRIED, settings.iterations)
    state = follow(starts, (thetas, jnp.full(len(costs), 1e-2), costs), tried)
    kept = jnp.argsort(state[2])[: min(settings.starts, len(costs))]
    state = jax.tree.map(lambda value: value[kept], state)
    theta, _, costs = follow(starts[kept], state, settings.iterations - tried)
    finish = partial(end_of, places, person)
    return *jax.vmap(finish)(theta, starts[kept]), costs


def _first(
    places: Landmarks, person: Person, start: jax.Array, mean: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Rotation of the root and parameters of a mean pose that lies on the person.

    Before a camera it is moved to the distance at which the body is as large as the person; to
    points it is turned and moved.
    """
    theta = jnp.concatenate([jnp.zeros(6), mean[:-3], jnp.zeros(places.body.num_shapes)])
    points = places.points(*unpack(places.body, theta, start))
    share = (person.weights / jnp.maximum(person.weights.sum(), 1e-6))[:, None]
    centre = jnp.sum(share * person.target, axis=0)
    if person.camera is None:
        turn = procrustes(points, person.target, person.weights, scale=False).R
        start = jnp.einsum("ab,bc->ac", turn, start, precision="highest")
        points = places.points(*unpack(places.body, theta, start))
        return start, theta.at[:3].set((centre - jnp.sum(share * points, axis=0)) / METRE)
    middle = jnp.sum(share * points, axis=0)
    # The longer extent alone: a body that is seen from the side is narrower than from the front.
    across = points[:, :2] - prepend_axes(middle[:2], 2)
    body_spread = jnp.sqrt(jnp.max(jnp.sum(share * across**2, axis=0)))
    off = person.target - prepend_axes(centre, 2)
    spread = jnp.sqrt(jnp.max(jnp.sum(share * off**2, axis=0)))
    focal = person.camera.K[1, 1]
    depth = jnp.clip(focal * body_spread / jnp.maximum(spread, 1e-3), 300.0, 1e5)
    ray = jnp.linalg.solve(person.camera.K, jnp.append(centre, 1.0))
    return start, theta.at[:3].set((ray * depth - middle) / METRE)
