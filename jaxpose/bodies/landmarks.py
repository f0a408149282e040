"""Keypoints of a skeleton on a body: joints by their names, the rest from the surface."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.drawn import drawn_keypoints
from jaxpose.bodies.model import Body, pose_body
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, H36M17, Skeleton

# Vertices of the face in meshes of SMPL's and SMPL-X's topology, by their number of vertices.
_FACES = {
    6890: {"nose": 332, "right_eye": 6260, "left_eye": 2800, "right_ear": 4071, "left_ear": 583},
    10475: {"nose": 9120, "right_eye": 9929, "left_eye": 9448, "right_ear": 616, "left_ear": 6},
}
# Joints that are called otherwise in skeletons of keypoints.
_JOINT_OF = {
    "root": "pelvis",
    "hips": "pelvis",
    "thorax": "neck",
    **{f"{side}_foot": f"{side}_ankle" for side in ("left", "right")},
}
_FEWEST = 6


class Landmarks(NamedTuple):
    """Keypoints of a skeleton as a small body: only the vertices that they need.

    Attributes:
      body: its last J vertices are at the joints.
      matrix: `[K, V']` keypoints from its vertices.
      known: bool `[K]`, keypoints that the body has; the others are 0.
    """

    body: Body
    matrix: Any
    known: Any

    def points(self, shape: Any, rotations: Any, translation: Any) -> jax.Array:
        """Keypoints `[..., K, 3]` mm of a pose, see `pose_body`."""
        vertices = pose_body(self.body, shape, rotations, translation).vertices
        return jnp.einsum("kv,...vc->...kc", self.matrix, vertices, precision="highest")


def landmarks(body: Body, skeleton: Skeleton) -> Landmarks:
    """Finds keypoints on a body.

    A keypoint with the name of a joint is at the joint; of the others, the face is found on the
    drawn body and on SMPL's and SMPL-X's meshes.

    Raises:
      InputError: fewer than six keypoints are on the body.
    """
    count = len(body.joints)
    weights = np.zeros((skeleton.num_keypoints, len(body.template)))
    joints = np.zeros((skeleton.num_keypoints, count))
    surface = _surface(body, skeleton)
    for number, keypoint in enumerate(skeleton.keypoints):
        joint = _JOINT_OF.get(keypoint, keypoint)
        if keypoint in surface:
            weights[number] = surface[keypoint]
        elif joint in body.joints:
            joints[number, body.joints.index(joint)] = 1.0
    known = (weights.sum(axis=1) + joints.sum(axis=1)) > 0.5
    if known.sum() < _FEWEST:
        raise InputError(
            f"{known.sum()} keypoints of the skeleton {skeleton.name!r} are on the body "
            f"{body.name!r}; {_FEWEST} are needed. COCO-17 and H36M-17 are on every body."
        )
    kept = np.flatnonzero(np.abs(weights).sum(axis=0))
    small = _reduced(body, kept)
    return Landmarks(small, np.concatenate([weights[:, kept], joints], axis=1), known)


def _surface(body: Body, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Weights `[V]` of the keypoints that are not at joints."""
    if body.name == "drawn" and skeleton.name in (COCO17.name, H36M17.name):
        rows = dict(zip(skeleton.keypoints, drawn_keypoints(skeleton), strict=True))
        if skeleton.name == COCO17.name:  # its limbs are the body's joints
            return {k: row for k, row in rows.items() if k not in body.joints}
        return rows
    face = _FACES.get(len(body.template), {})
    return {name: np.eye(len(body.template))[vertex] for name, vertex in face.items()}


def _reduced(body: Body, kept: np.ndarray) -> Body:
    """Body of the vertices `kept`, followed by one vertex at each joint."""
    count = len(body.joints)
    regressor = np.asarray(body.regressor)
    ends = regressor @ np.asarray(body.template)
    moved = np.einsum("jv,vcs->jcs", regressor, np.asarray(body.shapes))
    still = np.zeros((len(body.pose_shapes), count, 3))
    return replace(
        body,
        template=jnp.asarray(np.concatenate([body.template[kept], ends]), jnp.float32),
        shapes=jnp.asarray(np.concatenate([body.shapes[kept], moved]), jnp.float32),
        pose_shapes=jnp.asarray(
            np.concatenate([body.pose_shapes[:, kept], still], axis=1), jnp.float32
        ),
        regressor=jnp.asarray(np.eye(count, len(kept) + count, len(kept)), jnp.float32),
        weights=jnp.asarray(np.concatenate([body.weights[kept], np.eye(count)]), jnp.float32),
    )
