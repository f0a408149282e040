"""Prior of a body's pose: a Gaussian over the axis-angle vectors of its joints.

It is estimated from the renderer's poses, which have anatomical limits and everyday and sports
postures, and is carried over to other bodies by the names of their joints.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jaxpose.bodies.drawn import AVERAGE, JOINTS, REST, drawn_body, frames_of
from jaxpose.bodies.model import Body
from jaxpose.data.synthetic import poses
from jaxpose.data.synthetic.body import forward_kinematics
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle

_POSES = 4000
_NOISE = 0.1  # radians, added to every angle: real people leave the families of drawn poses
_OTHER = 0.15  # radians, deviation of joints that the drawn body has not, such as toes and fingers
# The drawn trunk bends at two joints, SMPL's at three: where each of them goes.
_NAMES = {"spine1": "spine", "spine2": "chest"}


class PriorNumbers(NamedTuple):
    """Mixture of C Gaussians over poses, and a Gaussian over shapes; arguments of a program.

    A pose's features are the axis-angle vectors of the joints except the root, radians, and the
    direction up in the frame of the root: F = 3 (J - 1) + 3. Its cost is the least over the
    components of `0.5 |whitening (features - mean)|^2 + penalty`.

    Attributes:
      means: `[C, F]`.
      whitenings: `[C, F, F]`; zero columns for features that are not rated.
      penalties: `[C]`, minus the logarithm of each component's height, the least being 0.
      shape_mean: `[S]`.
      shape_whitening: `[S, S]`.
    """

    means: Any
    whitenings: Any
    penalties: Any
    shape_mean: Any
    shape_whitening: Any


class PosePrior(NamedTuple):
    """Prior of a body's pose and shape.

    Attributes:
      body: name of the body.
      joints: names of its joints.
      numbers: see `PriorNumbers`.
    """

    body: str
    joints: tuple[str, ...]
    numbers: PriorNumbers

    def of(self, body: Body) -> "PosePrior":
        """The prior itself; InputError if it is of another body."""
        num_shapes = len(self.numbers.shape_mean)
        if self.joints != body.joints or num_shapes != body.num_shapes or self.body != body.name:
            raise InputError(
                f"the prior is of the body {self.body!r} ({len(self.joints)} joints, {num_shapes} "
                f"shape numbers), not of {body.name!r} ({len(body.joints)} joints, "
                f"{body.num_shapes} shape numbers); make one with this body"
            )
        return self


def pose_prior(body: Body) -> PosePrior:
    """Prior of a body from the poses of drawn people, float32: one Gaussian.

    Raises:
      InputError: the body has no hips, knees, shoulders and elbows by their usual names.
    """
    vectors = _drawn_vectors()
    frame = _axes(drawn_body()), _axes(body)
    turn = frame[1] @ frame[0].T
    vectors = (vectors.reshape(len(vectors), -1, 3) @ turn.T).reshape(len(vectors), -1)
    mean = np.zeros(3 * len(body.joints))
    covariance = np.eye(len(mean) - 3) * _OTHER**2
    taken, rows = [], []
    for number, joint in enumerate(body.joints[1:]):
        source = _NAMES.get(joint, joint)
        if source in JOINTS[1:]:
            taken += [3 * (JOINTS.index(source) - 1) + axis for axis in range(3)]
            rows += [3 * number + axis for axis in range(3)]
    mean[rows] = vectors.mean(axis=0)[taken]
    spread = np.cov(vectors[:, taken].T) + np.eye(len(taken)) * _NOISE**2
    covariance[np.ix_(rows, rows)] = spread
    whitening = np.zeros((len(mean), len(mean)))
    whitening[:-3, :-3] = np.linalg.inv(np.linalg.cholesky(covariance))
    shapes = body.num_shapes
    numbers = mean[None], whitening[None], np.zeros(1), np.zeros(shapes), np.eye(shapes)
    return PosePrior(body.name, body.joints, PriorNumbers(*(n.astype(np.float32) for n in numbers)))


def beginnings(body: Body) -> np.ndarray:
    """Rotations `[B, 3, 3]` of the root from which a fit begins, with turns about the vertical.

    A whole body stands. A hand has no upright direction: its six ones, with four turns about the
    vertical each, are the 24 rotations of a cube.

    Raises:
      InputError: as `pose_prior`.
    """
    if body.name != "mano":
        return upright(body)[None]
    quarters = np.arange(4) * np.pi / 2
    about_x = [[angle, 0.0, 0.0] for angle in quarters]
    about_z = [[0.0, 0.0, angle] for angle in quarters[1::2]]
    return matrix_from_axis_angle(np.array(about_x + about_z))


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
            f"the body {body.name!r} has no {', '.join(missing)}: only whole bodies can be fitted, "
            "and hands of MANO with bodies.hands.hand_prior"
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
