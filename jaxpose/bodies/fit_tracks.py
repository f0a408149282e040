"""Fits of bodies to the tracks of a video: one shape for each person, and poses that move smoothly.

Every frame is fitted alone at first. Of the minima that its starts lead to, the sequence is taken
that has low costs and moves little (Viterbi). Then the frames are fitted again, all at once, each
with its pose drawn to the mean of its neighbours, a few times over.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.fit import (
    DEFAULT,
    FEWEST,
    FitTask,
    Fitted,
    Valleys,
    fit_in_groups,
    fit_task,
    valleys,
)
from jaxpose.bodies.fit_problem import METRE, Fitting, Near, Person, Problem, end_of, solve
from jaxpose.bodies.landmarks import Landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, PriorNumbers
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera
from jaxpose.geometry.rotations import axis_angle_from_matrix
from jaxpose.motion.timing import LONGEST_GAP
from jaxpose.skeletons import Skeleton

_GROUP = 32  # people at a time
_ROUNDS, _STEPS = 4, 3  # means of the neighbours, and steps of each fit to them
_TURN = 0.05  # radians, expected distance of a joint's rotation from the mean of its neighbours
_MOVE = 10.0  # mm, the same of a keypoint
_JUMP = 0.02  # cost of a keypoint's move by 1 mm about their middle from one frame to the next
_FIXED = 1e3  # one over the deviation of the shape in a track


@dataclass(frozen=True)
class Smoothing:
    """Settings of the fit of tracks.

    Attributes:
      seconds: span of the frames whose mean a pose is drawn to; 0 fits every frame alone.
      longest_gap: seconds between two frames up to which they are neighbours.
    """

    seconds: float = 0.4
    longest_gap: float = LONGEST_GAP


USUAL = Smoothing()


class _Window(NamedTuple):
    """Neighbours of one frame, itself among them.

    Attributes:
      rows: `[W]`.
      weights: `[W]` of sum 1; some may be negative at the ends of a track.
    """

    rows: np.ndarray
    weights: np.ndarray


def fit_tracks(
    body: Body,
    skeleton: Skeleton,
    targets: np.ndarray,
    scores: np.ndarray | None,
    camera: Camera | None,
    tracks: np.ndarray,
    seconds: np.ndarray,
    settings: Fitting = DEFAULT,
    prior: PosePrior | None = None,
    smoothing: Smoothing = USUAL,
) -> Fitted:
    """Fits bodies as `fit_body` or `fit_body_3d`; those of a track get one shape and move smoothly.

    The shape is the mean of the track's, also over its gaps. People without a track, and tracks of
    one frame, are fitted alone.

    Args:
      targets: `[N, K, 2]` pixels, or `[N, K, 3]` mm without a camera.
      camera: one camera, `[N]` of them, or None.
      tracks: int `[N]`, -1 for people without a track. The people may have any order; those of
        one track and time keep theirs.
      seconds: `[N]` times of the frames; not used for people without a track.
      body, skeleton, scores, settings, prior: as in `fit_body`.
      smoothing: see `Smoothing`.

    Raises:
      InputError: as `fit_body`; no people; tracks or times of another length; times that are not
        finite.
    """
    tracks, seconds = np.asarray(tracks), np.asarray(seconds, np.float64)
    task = fit_task(body, skeleton, targets, scores, camera, settings, prior)
    count = len(task.used)
    for name, value in (("tracks", tracks), ("seconds", seconds)):
        if value.shape != (count,):
            raise InputError(f"{name} of shape {list(value.shape)} for {count} people")
    if not count:
        raise InputError("there is no person to fit a body to")
    if not np.isfinite(seconds[tracks >= 0]).all():
        raise InputError("every person in a track needs a time in seconds")
    order = _in_tracks(tracks, seconds, task.used) if smoothing.seconds > 0 else np.arange(0)
    found = fit_in_groups(
        count, min(_GROUP, count), lambda rows: valleys(task.take(rows), settings)
    )
    fitted = found.best(task)
    if not len(order):
        return fitted
    own = Valleys(*(value[order] for value in found))
    smooth = _smoothed(task.take(order), own, tracks[order], seconds[order], settings, smoothing)
    for whole, part in zip(fitted, smooth, strict=True):
        whole[order] = part
    return fitted


def _in_tracks(tracks: np.ndarray, seconds: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Rows of the people in tracks of several frames, by track and time."""
    order = np.lexsort((seconds, tracks))
    order = order[(tracks[order] >= 0) & (used[order] >= FEWEST)]
    _, number, sizes = np.unique(tracks[order], return_inverse=True, return_counts=True)
    return order[sizes[number] > 1]


def _smoothed(
    task: FitTask,
    found: Valleys,
    tracks: np.ndarray,
    seconds: np.ndarray,
    settings: Fitting,
    smoothing: Smoothing,
) -> Fitted:
    """Fits people who are sorted by track and time."""
    joined = (np.diff(tracks) == 0) & (np.diff(seconds) <= smoothing.longest_gap + 1e-9)
    runs = np.append(0, np.cumsum(~joined))
    fitted = found.chosen(steadiest(found, task.places.known, joined), task)
    windows = _windows(seconds, runs, smoothing.seconds / 2)
    alone = np.array([len(window.rows) == 1 for window in windows])
    trust = np.where(alone[:, None], 0.0, 1 / np.array([_TURN, _MOVE]))
    _, number = np.unique(tracks, return_inverse=True)
    shape = np.stack([fitted.shape[number == n].mean(axis=0) for n in range(number[-1] + 1)])
    fitted = fitted._replace(shape=shape[number])
    for _ in range(_ROUNDS):
        near = Near(
            _nearest_rotations(_means(fitted.rotations, windows)).astype(np.float32),
            _means(np.nan_to_num(fitted.keypoints), windows).astype(np.float32),
            trust.astype(np.float32),
        )
        fitted = _fitted_again(task, fitted, near, settings)
    return fitted


def steadiest(found: Valleys, known: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """Minimum of each frame, `[N]`, so that costs and moves of the poses have the least sum.

    Args:
      found: of frames in order.
      known: bool `[K]`, keypoints that the body has.
      joined: bool `[N - 1]`, True where a frame and the next are neighbours.
    """
    points = found.keypoints[:, :, known]
    points = points - points.mean(axis=2, keepdims=True)
    total, costs = found.costs[0].astype(np.float64), found.costs.astype(np.float64)
    before = []
    for now, close in enumerate(joined, start=1):
        moves = np.linalg.norm(points[now, None] - points[now - 1, :, None], axis=-1).mean(axis=-1)
        sums = total[:, None] + close * _JUMP * moves
        before.append(sums.argmin(axis=0))
        total = sums.min(axis=0) + costs[now]
    path = [int(total.argmin())]
    for back in reversed(before):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])


def _windows(seconds: np.ndarray, runs: np.ndarray, reach: float) -> list[_Window]:
    """Neighbours of each frame of its run, with the weights of a line that is fitted to them.

    Weights fall with the distance in time as in loess (Cleveland, JASA 1979).
    """
    windows = []
    first, last = (np.searchsorted(runs, runs, side=side) for side in ("left", "right"))
    for now, begin, end in zip(seconds, first, last, strict=True):
        off = (seconds[begin:end] - now) / reach
        near = np.flatnonzero(np.abs(off) < 1)
        fall = ((1 - np.abs(off[near]) ** 3) ** 3)[:, None]
        powers = off[near, None] ** np.arange(min(2, len(near)))
        weights = np.linalg.pinv(powers.T @ (fall * powers))[0] @ (fall * powers).T
        windows.append(_Window(begin + near, weights))
    return windows


def _means(values: np.ndarray, windows: list[_Window]) -> np.ndarray:
    return np.stack([np.tensordot(w.weights, values[w.rows], 1) for w in windows])


def _nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """Rotations nearest to matrices `[..., 3, 3]`: means of rotations, if these are their means."""
    left, _, right = np.linalg.svd(matrices)
    left[..., -1] *= np.linalg.det(left @ right)[..., None]
    return left @ right


def _fitted_again(task: FitTask, fitted: Fitted, near: Near, settings: Fitting) -> Fitted:
    """Fits all people from where they are, near to their neighbours."""

    def group(rows: np.ndarray) -> Fitted:
        part, people = Fitted(*(value[rows] for value in fitted)), task.take(rows).people
        begin = part.shape, part.rotations, part.translation
        close = Near(*(value[rows] for value in near))
        made = _fit_near(task.places, task.prior, people, *begin, close, settings)
        rotations, translation, points, error = (np.array(value) for value in made)
        return Fitted(part.shape, rotations, translation, points, error, part.used)

    again = fit_in_groups(len(fitted.used), min(_GROUP, len(fitted.used)), group)
    again.keypoints[:, ~np.asarray(task.places.known)] = np.nan
    return again


@partial(jax.jit, static_argnums=7)
def _fit_near(
    places: Landmarks,
    prior: PriorNumbers,
    people: Person,
    shape: jax.Array,
    rotations: jax.Array,
    translation: jax.Array,
    near: Near,
    settings: Fitting,
) -> tuple[jax.Array, ...]:
    """Rotations, translations, points and errors of N people of fixed shapes."""

    def one(
        person: Person, shape: jax.Array, rotations: jax.Array, translation: jax.Array, near: Near
    ) -> tuple[jax.Array, ...]:
        own = prior._replace(shape_mean=shape, shape_whitening=_FIXED * jnp.eye(len(shape)))
        problem = Problem(places, own, settings, person, rotations[0], near)
        pose = axis_angle_from_matrix(rotations[1:]).ravel()
        theta = jnp.concatenate([translation / METRE, jnp.zeros(3), pose, shape])
        begin = theta, jnp.asarray(1e-2, theta.dtype), problem.cost(theta)
        theta = solve(problem, begin, _STEPS)[0]
        theta = theta.at[len(theta) - len(shape) :].set(shape)
        return end_of(places, person, theta, rotations[0])[1:]

    return jax.vmap(one)(people, shape, rotations, translation, near)
