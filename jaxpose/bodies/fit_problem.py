"""Least squares problem of one person: reprojection errors and priors, by Levenberg-Marquardt."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.bodies.landmarks import Landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PriorNumbers
from jaxpose.geometry.cameras import Camera, project
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.geometry.rotations import matrix_from_axis_angle

METRE = 1000.0  # translations are optimised in metres, of the size of the angles

State = tuple[Any, Any, Any]
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


class Person(NamedTuple):
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


def unpack(body: Body, theta: jax.Array, start: jax.Array) -> tuple[jax.Array, ...]:
    """Shape, rotations and translation (mm) of the vector that is optimised."""
    count = 3 * (len(body.joints) - 1)
    translation, root, pose, shape = jnp.split(theta, [3, 6, 6 + count])
    turned = jnp.einsum("ab,bc->ac", matrix_from_axis_angle(root), start, precision="highest")
    local = matrix_from_axis_angle(pose.reshape(-1, 3))
    return shape, jnp.concatenate([turned[None], local]), translation * METRE


def measured(camera: Camera | None, points: jax.Array) -> jax.Array:
    """Pixels of points `[K, 3]` before a camera; the points themselves without."""
    if camera is None:
        return points
    return project(camera, points.at[:, 2].max(0.1 * METRE))  # points behind have no image


class Near(NamedTuple):
    """Pose that a person should stay near to, by its neighbours in time.

    Attributes:
      rotations: `[J, 3, 3]`.
      points: `[K, 3]` mm.
      weights: of the rotations, one over radians, and of the points, one over mm.
    """

    rotations: Any
    points: Any
    weights: Any


class Problem(NamedTuple):
    """Cost of the parameters of one person; its residuals and their slopes.

    The prior is the least over its components of half the squared distance and a constant. At any
    parameters the nearest component alone is not below it anywhere, so that a step which lowers
    that one lowers the cost.

    Attributes:
      places: the keypoints on the body.
      prior, settings: of the fit.
      person: the measurements.
      start: `[3, 3]` rotation of the root that the parameters turn further.
      near: the pose to stay near to; None for a person alone.
    """

    places: Landmarks
    prior: PriorNumbers
    settings: Fitting
    person: Person
    start: jax.Array
    near: Near | None = None

    def seen(self, theta: jax.Array) -> jax.Array:
        """Errors of the keypoints in expected errors, `[K, 2 or 3]`."""
        points = self.places.points(*unpack(self.places.body, theta, self.start))
        off = measured(self.person.camera, points) - self.person.target
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
        if self.near is not None:
            apart = partial(self.apart, self.near)
            residuals = jnp.concatenate([residuals, apart(theta)])
            slopes = jnp.concatenate([slopes, jax.jacfwd(apart)(theta)])
        return residuals, slopes, weights[0] * prior.penalties[chosen]

    def apart(self, near: Near, theta: jax.Array) -> jax.Array:
        """Distance from the pose of the neighbours, `[9 J + 3 K]`."""
        shape, rotations, translation = unpack(self.places.body, theta, self.start)
        points = self.places.points(shape, rotations, translation)
        turned = near.weights[0] / jnp.sqrt(2.0) * (rotations - near.rotations)
        moved = near.weights[1] * (points - near.points)
        return jnp.concatenate([turned.ravel(), moved.ravel()])

    def cost(self, theta: jax.Array) -> jax.Array:
        """Huber's loss of the keypoints' errors and the priors."""
        huber = self.settings.huber
        length = jnp.sqrt(jnp.sum(self.seen(theta) ** 2, axis=-1) + 1e-12)
        loss = jnp.where(length < huber, 0.5 * length**2, huber * (length - 0.5 * huber))
        residuals, _, constant = self.believed(theta)
        return jnp.sum(self.person.weights * loss) + 0.5 * jnp.sum(residuals**2) + constant


def solve(problem: Problem, state: State, steps: int) -> State:
    """Steps of Levenberg-Marquardt from a state."""

    def step(state: State, _: None) -> tuple[State, None]:
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


def end_of(
    places: Landmarks, person: Person, theta: jax.Array, start: jax.Array
) -> tuple[jax.Array, ...]:
    """Shape, rotations, translation, points and error of the parameters of one person."""
    shape, rotations, translation = unpack(places.body, theta, start)
    points = places.points(shape, rotations, translation)
    away = jnp.sum((measured(person.camera, points) - person.target) ** 2, axis=-1)
    seen = person.weights > 0
    error = jnp.sqrt(jnp.sum(jnp.where(seen, away, 0.0)) / jnp.maximum(seen.sum(), 1))
    return shape, rotations, translation, points, error
