"""Hands of MANO (Romero et al., "Embodied Hands", SIGGRAPH Asia 2017): sides, mirror and prior.

The two files of MANO are the right and the left hand. As its authors made one from the other, the
mirror image of one file is the other hand, so that either file serves both hands.
"""

from dataclasses import replace

import numpy as np

from jaxpose.bodies.files import BodyFile, HandBasis
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, PriorNumbers
from jaxpose.errors import InputError

_NOISE = 0.1  # radians, added to every angle, as in the prior of whole bodies
_MIRROR = np.array([-1.0, 1, 1])  # of points
_MIRROR_TURN = np.array([1.0, -1, -1])  # of axis-angle vectors


def hand_side(body: Body) -> str:
    """Side of a hand of MANO: "left" or "right"; "" if it cannot be read from the model.

    The rest pose is that of an arm which a person who faces +z, y up, holds out to the side: the
    fingers of the right hand point along -x, those of the left one along +x.
    """
    if body.name != "mano":
        return ""
    joints = np.asarray(body.regressor, np.float64) @ np.asarray(body.template, np.float64)
    knuckles = [body.joints.index(f"{finger}1") for finger in ("index", "middle", "ring", "pinky")]
    reach = joints[knuckles].mean(axis=0) - joints[0]
    if abs(reach[0]) < 0.7 * np.linalg.norm(reach):
        return ""
    return "right" if reach[0] < 0 else "left"


def hand_of_side(file: BodyFile, side: str, source: str) -> BodyFile:
    """The hand of a side from the file of either: itself or its mirror image.

    Raises:
      InputError: the side of the file cannot be read from it; `source` names it.
    """
    own = hand_side(file.body)
    if not own:
        raise InputError(
            f"{source} is not in the rest pose of MANO's files (fingers along -x of the right hand,"
            " along +x of the left one), so which hand it is is not known."
        )
    return file if own == side else mirrored(file)


def mirrored(file: BodyFile) -> BodyFile:
    """Mirror image of a hand: the other hand.

    With shape numbers s and rotations R, the vertices have the x of the other sign of those that
    the first hand has with s and `mirrored_rotations(R)`. Faces keep their outer side.
    """
    body = file.body
    # Element ab of a rotation changes its sign in the mirror if one of a and b is x.
    signs = np.tile(np.outer(_MIRROR, _MIRROR).ravel(), len(body.joints) - 1)
    other = replace(
        body,
        template=_as(body.template * _MIRROR, body.template),
        shapes=_as(body.shapes * _MIRROR[:, None], body.shapes),
        pose_shapes=_as(body.pose_shapes * signs[:, None, None] * _MIRROR, body.pose_shapes),
    )
    turn = np.tile(_MIRROR_TURN, 15)
    hands = {
        name: replace(basis, components=basis.components * turn, mean=basis.mean * turn)
        for name, basis in file.hands.items()
    }
    return replace(file, body=other, faces=file.faces[:, [0, 2, 1]], hands=hands)


def mirrored_rotations(rotations: np.ndarray) -> np.ndarray:
    """Rotations `[..., 3, 3]` of the mirror image: those of the other hand in the mirrored image.

    As axis-angle vectors, y and z have the other sign.
    """
    return rotations * np.outer(_MIRROR, _MIRROR).astype(rotations.dtype)


def hand_prior(file: BodyFile) -> PosePrior:
    """Prior of a hand's pose and shape from the file's own mean and components, float32.

    One Gaussian; the factors of the components have the deviations of the poses that the file was
    made from, where the file has them, else 1.

    Raises:
      InputError: the file is no hand of MANO, or has no mean and components.
    """
    body, basis = file.body, file.hands.get("hand")
    if body.name != "mano" or basis is None:
        raise InputError(
            f"the body model {body.name!r} has no mean pose of a hand and no components "
            "(hands_mean, hands_components): MANO's own files have them."
        )
    covariance = _covariance(basis)
    whitening = np.zeros((48, 48))  # no direction is up for a hand
    whitening[:45, :45] = np.linalg.inv(np.linalg.cholesky(covariance))
    mean = np.concatenate([basis.mean, np.zeros(3)])
    shapes = body.num_shapes
    numbers = mean[None], whitening[None], np.zeros(1), np.zeros(shapes), np.eye(shapes)
    return PosePrior(body.name, body.joints, PriorNumbers(*(n.astype(np.float32) for n in numbers)))


def _covariance(basis: HandBasis) -> np.ndarray:
    """Covariance `[45, 45]` of the axis-angle vectors of a hand's joints."""
    components = np.asarray(basis.components, np.float64)
    deviations = np.ones(len(components)) if basis.deviations is None else basis.deviations
    scaled = components * deviations[:, None]
    return scaled.T @ scaled + np.eye(45) * _NOISE**2


def _as(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.asarray(values, like.dtype)
