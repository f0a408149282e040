"""Keypoints of a skeleton on a body: joints by their names, the rest from the surface."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.drawn import drawn_keypoints
from jaxpose.bodies.model import Body, pose_body
from jaxpose.errors import InputError
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.skeletons import COCO17, H36M17, Skeleton
from jaxpose.skeletons.hand21 import FINGERS

# Vertices of the face in meshes of SMPL's and SMPL-X's topology, and of the finger tips in MANO's
# (those of the package smplx), by their number of vertices.
_VERTICES = {
    6890: {"nose": 332, "right_eye": 6260, "left_eye": 2800, "right_ear": 4071, "left_ear": 583},
    778: {
        "thumb4": 744,
        "forefinger4": 320,
        "middle_finger4": 443,
        "ring_finger4": 554,
        "pinky_finger4": 671,
    },
    10475: {"nose": 9120, "right_eye": 9929, "left_eye": 9448, "right_ear": 616, "left_ear": 6},
}
_MANO = ("thumb", "index", "middle", "ring", "pinky")  # joints of the fingers, without numbers
# Joints that are called otherwise in skeletons of keypoints.
_JOINT_OF = {
    "root": "pelvis",
    "hips": "pelvis",
    "thorax": "neck",
    **{f"{side}_foot": f"{side}_ankle" for side in ("left", "right")},
    **{
        f"{finger}{number}": f"{joint}{number}"
        for finger, joint in zip(FINGERS, _MANO, strict=True)
        for number in (1, 2, 3)
    },
}
_FEWEST = 6
_product = partial(jnp.einsum, precision="highest")


class Landmarks(NamedTuple):
    """Keypoints of a skeleton on a body, computed without its surface.

    A keypoint is a sum over joints: share * joint + rotation @ arm.

    Attributes:
      body: the body's joints alone; its J vertices are at the joints.
      share: `[K, J]`.
      joint: `[P, J]`, 1 at the joint that turns an arm.
      keypoint: `[K, P]`, 1 at the keypoint of an arm.
      arms: `[P, 3]` of the mean shape in the rest pose, mm.
      arm_shapes: `[P, 3, S]` change of the arms by each shape number, mm.
      arm_pose_shapes: `[9 (J - 1), P, 3]` change by the pose, mm; None where the pose has none.
      known: bool `[K]`, keypoints that the body has; the others are 0.
    """

    body: Body
    share: Any
    joint: Any
    keypoint: Any
    arms: Any
    arm_shapes: Any
    arm_pose_shapes: Any
    known: Any

    def points(self, shape: Any, rotations: Any, translation: Any) -> jax.Array:
        """Keypoints `[..., K, 3]` mm of matrices `[..., J, 3, 3]`, see `pose_body`."""
        posed = pose_body(self.body, shape, rotations, translation)
        arms = _product("pcs,...s->...pc", self.arm_shapes, jnp.asarray(shape))
        arms = arms + prepend_axes(jnp.asarray(self.arms), arms.ndim)
        if self.arm_pose_shapes is not None:
            turned = jnp.asarray(rotations)[..., 1:, :, :]
            bend = turned - prepend_axes(jnp.eye(3), turned.ndim)
            bend = bend.reshape(*bend.shape[:-3], -1)
            arms = arms + _product("...q,qpc->...pc", bend, self.arm_pose_shapes)
        turns = _product("pj,...jab->...pab", self.joint, posed.rotations)
        reach = _product("...pab,...pb->...pa", turns, arms)
        at_joints = _product("kj,...jc->...kc", self.share, posed.joints)
        return at_joints + _product("kp,...pc->...kc", self.keypoint, reach)


def landmarks(body: Body, skeleton: Skeleton) -> Landmarks:
    """Finds keypoints on a body.

    A keypoint with the name of a joint is at the joint; of the others, the face is found on the
    drawn body and on SMPL's and SMPL-X's meshes, and finger tips on MANO's.

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
            f"{body.name!r}; {_FEWEST} are needed. COCO-17 and H36M-17 are on every body, and "
            "Hand-21 is on MANO's hands."
        )
    return _on_joints(body, weights, joints, known)


def _surface(body: Body, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Weights `[V]` of the keypoints that are not at joints."""
    if body.name == "drawn" and skeleton.name in (COCO17.name, H36M17.name):
        rows = dict(zip(skeleton.keypoints, drawn_keypoints(skeleton), strict=True))
        if skeleton.name == COCO17.name:  # its limbs are the body's joints
            return {k: row for k, row in rows.items() if k not in body.joints}
        return rows
    count = len(body.template)
    found = _VERTICES.get(count, {})
    return {name: (np.arange(count) == vertex).astype(float) for name, vertex in found.items()}


def _on_joints(body: Body, weights: np.ndarray, joints: np.ndarray, known: np.ndarray) -> Landmarks:
    """Landmarks from weights of vertices `[K, V]` and of joints `[K, J]`.

    Skinning moves vertex v to the sum over j of w_vj (R_j (v - joint_j) + placed_j), so a weighted
    sum of vertices has one arm for each joint that moves any of them.
    """
    skin, regressor = np.asarray(body.weights, np.float64), np.asarray(body.regressor, np.float64)
    template, shapes = np.asarray(body.template, np.float64), np.asarray(body.shapes, np.float64)
    share = weights @ skin
    moved = (np.abs(weights) @ skin) > 1e-9
    keypoint, joint = np.nonzero(moved)
    pull = weights[keypoint] * skin[:, joint].T  # [P, V]
    own = share[moved]
    arms = pull @ template - own[:, None] * (regressor @ template)[joint]
    at_joints = np.einsum("jv,vcs->jcs", regressor, shapes)
    arm_shapes = np.einsum("pv,vcs->pcs", pull, shapes) - own[:, None, None] * at_joints[joint]
    by_pose = np.einsum("pv,qvc->qpc", pull, np.asarray(body.pose_shapes, np.float64))
    count = len(body.joints)
    chain = replace(
        body,
        template=jnp.asarray(regressor @ template, jnp.float32),
        shapes=jnp.asarray(at_joints, jnp.float32),
        pose_shapes=jnp.zeros((9 * (count - 1), count, 3), jnp.float32),
        regressor=jnp.eye(count),
        weights=jnp.eye(count),
    )
    return Landmarks(
        body=chain,
        share=jnp.asarray(share + joints, jnp.float32),
        joint=jnp.asarray(np.eye(count)[joint], jnp.float32),
        keypoint=jnp.asarray(np.eye(len(weights))[:, keypoint], jnp.float32),
        arms=jnp.asarray(arms, jnp.float32),
        arm_shapes=jnp.asarray(arm_shapes, jnp.float32),
        arm_pose_shapes=jnp.asarray(by_pose, jnp.float32) if by_pose.any() else None,
        known=known,
    )
