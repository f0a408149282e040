"""Priors that are learnt from poses: a mixture of Gaussians, and its files.

SMPLify's prior (Bogo et al., "Keep it SMPL", ECCV 2016) is such a mixture, of eight.
"""

from pathlib import Path

import numpy as np

from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, PriorNumbers
from jaxpose.convert.npz import read_npz
from jaxpose.errors import InputError, not_written
from jaxpose.geometry.rotations import axis_angle_from_matrix
from jaxpose.paths import whole_file

FORMAT = "jaxpose-pose-prior-1"
_ROUNDS = 100
_ENOUGH = 1e-3  # growth of the mean log likelihood below which the mixture is final
_PER_COMPONENT = 20
_NOISE = 0.05  # radians, deviation added to every angle: poses of other people differ a little
_LEVEL = 0.15  # radians, deviation added to the direction up: a camera is rarely quite level
_SHAPE_NOISE = 0.1


def learn_prior(
    body: Body, shape: np.ndarray, rotations: np.ndarray, components: int = 8, *, level: bool
) -> PosePrior:
    """Learns the prior of a body from poses, float32. The same poses give the same prior.

    Args:
      body: the model.
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]`, see `pose_body`.
      components: number of Gaussians C.
      level: True if y is down in the frame of the poses. The prior then rates the direction up in
        the frame of the root too, as if every camera was nearly level.

    Raises:
      InputError: fewer than 20 poses for each Gaussian.
    """
    if len(rotations) < _PER_COMPONENT * components:
        raise InputError(
            f"{len(rotations)} poses are too few for a prior of {components} Gaussians: "
            f"{_PER_COMPONENT * components} are needed, or fewer Gaussians"
        )
    rotations = np.asarray(rotations, np.float64)
    pose = axis_angle_from_matrix(rotations[:, 1:]).reshape(len(rotations), -1)
    features, noise = pose, np.full(pose.shape[1], _NOISE)
    if level:
        features = np.concatenate([pose, -rotations[:, 0, 1]], axis=1)
        noise = np.append(noise, np.full(3, _LEVEL))
    shares, centres, covariances = fit_mixture(features, components, np.diag(noise**2))
    inverse = np.linalg.inv(np.linalg.cholesky(covariances))
    heights = np.log(shares) + np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum(axis=1)
    rated = features.shape[1]
    means = np.zeros((components, pose.shape[1] + 3))
    means[:, :rated] = centres
    whitenings = np.zeros((components, means.shape[1], means.shape[1]))
    whitenings[:, :rated, :rated] = inverse
    shape = np.asarray(shape, np.float64)
    spread = np.cov(shape.T).reshape(shape.shape[1], -1)
    spread = spread + np.eye(shape.shape[1]) * _SHAPE_NOISE**2
    whitening = np.linalg.inv(np.linalg.cholesky(spread))
    numbers = means, whitenings, heights.max() - heights, shape.mean(axis=0), whitening
    return PosePrior(body.name, body.joints, PriorNumbers(*(n.astype(np.float32) for n in numbers)))


def fit_mixture(
    features: np.ndarray, components: int, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mixture of C Gaussians by expectation maximisation, from centres that are far apart.

    Args:
      features: `[N, F]`.
      components: C.
      floor: `[F, F]` covariance that is added to every Gaussian's.

    Returns:
      Shares `[C]` of sum 1, means `[C, F]` and covariances `[C, F, F]`.
    """
    rng, centres = np.random.default_rng(0), np.empty((0, features.shape[1]))
    away = np.ones((len(features), 1))
    for _ in range(components):
        nearest = away.min(axis=1)
        # Where fewer poses than components differ, any one may be drawn twice.
        odds = nearest / nearest.sum() if nearest.sum() > 0 else None
        centres = np.vstack([centres, features[rng.choice(len(features), p=odds)]])
        away = np.stack([((features - c) ** 2).sum(axis=1) for c in centres], axis=1)
    member = np.eye(components)[away.argmin(axis=1)]
    before = -np.inf
    for _ in range(_ROUNDS):
        mass = member.sum(axis=0) + 1e-9
        means = (member.T @ features) / mass[:, None]
        covariances = np.empty((components, *floor.shape))
        logs = np.empty_like(member)
        for c in range(components):
            off = features - means[c]
            covariances[c] = (member[:, c, None] * off).T @ off / mass[c] + floor
            whitening = np.linalg.inv(np.linalg.cholesky(covariances[c]))
            logs[:, c] = -0.5 * ((off @ whitening.T) ** 2).sum(axis=1)
            logs[:, c] += np.log(np.diagonal(whitening)).sum() + np.log(mass[c] / mass.sum())
        top = logs.max(axis=1)
        total = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
        member = np.exp(logs - total[:, None])
        if total.mean() - before < _ENOUGH:
            break
        before = float(total.mean())
    return mass / mass.sum(), means, covariances


def save_prior(path: Path, prior: PosePrior) -> None:
    """Writes a prior as `.npz`: the arrays of `PriorNumbers`, `body` and `joints`.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez(
                file,
                format=FORMAT,
                body=prior.body,
                joints=np.array(prior.joints),
                **prior.numbers._asdict(),
            )
    except OSError as error:
        raise not_written(path, error) from error


def read_prior(path: Path) -> PosePrior:
    """Reads a prior that `save_prior` wrote.

    Raises:
      InputError: the file is missing, damaged or no prior; its arrays do not fit together or have
        values that are not finite.
    """
    arrays = read_npz(path)
    wanted = {"format", "body", "joints", *PriorNumbers._fields}
    if not wanted <= set(arrays) or str(arrays["format"]) != FORMAT:
        raise InputError(
            f"{path} is not a prior of poses: `jaxpose prepare pose_prior` writes one from 3D poses"
        )
    joints = tuple(str(joint) for joint in arrays["joints"].reshape(-1))
    numbers = PriorNumbers(*(arrays[name] for name in PriorNumbers._fields))
    count, features = len(numbers.penalties.reshape(-1)), 3 * len(joints)
    shapes = numbers.shape_mean.size
    needed = PriorNumbers(
        *((count, features), (count, features, features), (count,)), (shapes,), (shapes, shapes)
    )
    for name, array, shape in zip(PriorNumbers._fields, numbers, needed, strict=True):
        if array.shape != shape or not count or array.dtype.kind != "f":
            raise InputError(
                f"{path}: {name} is {array.dtype} {list(array.shape)}, float {list(shape)} is "
                f"needed for {len(joints)} joints; make the prior again"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {name} has values that are not finite; make the prior again")
    numbers = PriorNumbers(*(array.astype(np.float32) for array in numbers))
    return PosePrior(str(arrays["body"]), joints, numbers)
