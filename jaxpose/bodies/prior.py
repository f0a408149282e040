"""Prior of a body's pose: a Gaussian over the axis-angle vectors of its joints.

It is estimated from the renderer's poses, which have anatomical limits and everyday and sports
postures, and is carried over to other bodies by the names of their joints.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from jaxpose.bodies.drawn import AVERAGE, JOINTS, REST, drawn_body, frames_of
from jaxpose.bodies.model import Body
from jaxpose.data.synthetic import poses
from jaxpose.data.synthetic.body import forward_kinematics
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import axis_angle_from_matrix

_POSES = 4000
_NOISE = 0.1  # radians, added to every angle: real people leave the families of drawn poses
_OTHER = 0.15  # radians, deviation of joints that the drawn body has not, such as toes and fingers
# The drawn trunk bends at two joints, SMPL's at three: where each of them goes.
_NAMES = {"spine1": "spine", "spine2": "chest"}


class PosePrior(NamedTuple):
    """Gaussian over axis-angle vectors of the joints except the root.

    Attributes:
      mean: `[3 (J - 1)]` radians.
      whitening: `[3 (J - 1), 3 (J - 1)]`; `whitening @ (pose - mean)` has unit covariance.
    """

    mean: np.ndarray
    whitening: np.ndarray


def pose_prior(body: Body) -> PosePrior:
    """Prior of a body's pose, float32.

    Raises:
      InputError: the body has no hips, knees, shoulders and elbows by their usual names.
    """
    vectors = _drawn_vectors()
    frame = _axes(drawn_body()), _axes(body)
    turn = frame[1] @ frame[0].T
    vectors = (vectors.reshape(len(vectors), -1, 3) @ turn.T).reshape(len(vectors), -1)
    mean = np.zeros(3 * (len(body.joints) - 1))
    covariance = np.eye(len(mean)) * _OTHER**2
    taken, rows = [], []
    for number, joint in enumerate(body.joints[1:]):
        source = _NAMES.get(joint, joint)
        if source in JOINTS[1:]:
            taken += [3 * (JOINTS.index(source) - 1) + axis for axis in range(3)]
            rows += [3 * number + axis for axis in range(3)]
    mean[rows] = vectors.mean(axis=0)[taken]
    spread = np.cov(vectors[:, taken].T) + np.eye(len(taken)) * _NOISE**2
    covariance[np.ix_(rows, rows)] = spread
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return PosePrior(mean.astype(np.float32), whitening.astype(np.float32))


def upright(body: Body) -> np.ndarray:
    """Rotation `[3, 3]` of the root for a person who stands and faces a camera.

    Raises:
      InputError: as `pose_prior`.
    """
    # Columns: where the body's forward, left and up go in the camera's x right, y down, z forward.
    camera = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    return camera @ _axes(body).T


def _axes(body: Body) -> np.ndarray:
    """Directions forward, left and up of a body in the rest pose, the columns of `[3, 3]`."""
    needed = ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "left_knee", "left_elbow")
    missing = [joint for joint in needed if joint not in body.joints]
    if missing:
        raise InputError(
            f"the body {body.name!r} has no {', '.join(missing)}: only whole bodies can be fitted"
        )
    joints = np.asarray(body.regressor, np.float64) @ np.asarray(body.template, np.float64)
    place = {joint: joints[number] for number, joint in enumerate(body.joints)}
    left = place["left_hip"] - place["right_hip"]
    up = (place["left_shoulder"] + place["right_shoulder"]) / 2
    up = up - (place["left_hip"] + place["right_hip"]) / 2
    left = left / np.linalg.norm(left)
    up = up - left * (left @ up)
    up = up / np.linalg.norm(up)
    return np.stack([np.cross(left, up), left, up], axis=1)


@lru_cache(maxsize=1)
def _drawn_vectors() -> np.ndarray:
    """Axis-angle vectors `[N, 48]` of the drawn body's joints in the renderer's poses."""
    rng = np.random.default_rng(0)
    number = frames_of(JOINTS)
    rest = forward_kinematics(REST, AVERAGE).rotation[number]
    turned = np.stack(
        [forward_kinematics(poses.sample(rng), AVERAGE).rotation[number] for _ in range(_POSES)]
    )
    world = turned @ rest.transpose(0, 2, 1)
    parents = np.array(drawn_body().parents[1:])
    local = world[:, parents].transpose(0, 1, 3, 2) @ world[:, 1:]
    return axis_angle_from_matrix(local).reshape(_POSES, -1)
