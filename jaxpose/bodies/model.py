"""Body models: a template mesh that shape numbers deform and a chain of joints turns.

Linear blend skinning as in SMPL (Loper et al., "SMPL: A Skinned Multi-Person Linear Model", ACM
ToG 2015); SMPL-H, SMPL-X and MANO have the same form with other joints. Lengths are millimetres.
Everything is differentiable, and batched over the leading axes `...`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.namespace import prepend_axes
from jaxpose.geometry.rotations import matrix_from_axis_angle

# Coordinates need all digits of float32; the default of accelerators for products has fewer.
_product = partial(jnp.einsum, precision="highest")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["template", "shapes", "pose_shapes", "regressor", "weights"],
    meta_fields=["name", "joints", "parents"],
)
@dataclass(frozen=True)
class Body:
    """Arrays of a body model; a pytree, which can be an argument of a compiled function.

    Attributes:
      name: "smpl", "smplh", "smplx", "mano", or the name of another model.
      joints: names of the J joints; the first is the root.
      parents: parent of each joint, -1 for the root; a parent comes before its children.
      template: `[V, 3]` vertices of the mean shape in the rest pose, mm.
      shapes: `[V, 3, S]` displacement of the vertices by each shape number, mm.
      pose_shapes: `[9 (J - 1), V, 3]` displacement by each element of the rotations of the joints
        except the root, minus the identity, mm.
      regressor: `[J, V]` positions of the joints from the vertices in the rest pose.
      weights: `[V, J]` share of each joint in the movement of a vertex.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    template: Any
    shapes: Any
    pose_shapes: Any
    regressor: Any
    weights: Any

    @property
    def num_shapes(self) -> int:
        """Number of shape numbers S."""
        return int(self.shapes.shape[-1])


class Posed(NamedTuple):
    """A body in a pose.

    Attributes:
      vertices: `[..., V, 3]`, mm.
      joints: `[..., J, 3]`, mm.
      rotations: `[..., J, 3, 3]` of each joint in the frame of the body's surroundings.
    """

    vertices: Any
    joints: Any
    rotations: Any


def pose_body(
    body: Body, shape: jax.Array, rotations: jax.Array, translation: jax.Array | None = None
) -> Posed:
    """Deforms, turns and moves a body.

    Args:
      body: the model.
      shape: `[..., S]` shape numbers in standard deviations.
      rotations: `[..., J, 3, 3]` of each joint in the frame of its parent, or axis-angle vectors
        `[..., J, 3]` in radians. The root's turns the whole body about the root.
      translation: `[..., 3]` mm, added to all points; zero if None.

    Raises:
      InputError: shape numbers or rotations that are not as many as the body's.
    """
    shape, rotations = jnp.asarray(shape), jnp.asarray(rotations)
    _check(body, shape, rotations)
    return _posed(body, shape, rotations, translation)


@jax.jit
def _posed(
    body: Body, shape: jax.Array, rotations: jax.Array, translation: jax.Array | None
) -> Posed:
    if rotations.shape[-1] == 3 and rotations.shape[-2:] != (3, 3):
        rotations = matrix_from_axis_angle(rotations)
    rank = max(shape.ndim - 1, rotations.ndim - 3)
    shape, rotations = prepend_axes(shape, rank + 1), prepend_axes(rotations, rank + 3)
    lead = jnp.broadcast_shapes(shape.shape[:-1], rotations.shape[:-3])
    joints = rest_joints(body, shape)
    bend = rotations[..., 1:, :, :] - prepend_axes(jnp.eye(3), rotations.ndim)
    bend = bend.reshape(*rotations.shape[:-3], -1)
    rest = shaped(body, shape) + _product("...p,pvc->...vc", bend, body.pose_shapes)
    turned, placed = _chain(body.parents, rotations, joints, lead)
    # A vertex moves with each of its joints: R (v - joint) + placed, averaged by the weights.
    moved = placed - _product("...jab,...jb->...ja", turned, joints)
    vertices = _skinned(body.weights, turned, moved, rest)
    if translation is not None:
        shift = prepend_axes(jnp.asarray(translation)[..., None, :], rank + 2)
        vertices, placed = vertices + shift, placed + shift
    return Posed(vertices, placed, turned)


def _skinned(weights: jax.Array, turned: jax.Array, moved: jax.Array, rest: jax.Array) -> jax.Array:
    """Vertices `[..., V, 3]`, moved by the weighted mean of `turned @ rest + moved` over joints.

    One coordinate at a time, and the vertices are the last axis until the end: this fills the
    registers of each kind of chip, and keeps what is in memory at once small.
    """
    columns = jnp.swapaxes(rest, -1, -2)
    affine = jnp.concatenate([turned, moved[..., None]], axis=-1)
    coordinates = []
    for row in range(3):
        blend = _product("...jb,vj->...bv", affine[..., row, :], weights)
        turned_by = [blend[..., column, :] * columns[..., column, :] for column in range(3)]
        coordinates.append(sum(turned_by, blend[..., 3, :]))
    return jnp.stack(coordinates, axis=-1)


def rest_joints(body: Body, shape: jax.Array) -> jax.Array:
    """Joints `[..., J, 3]` in the rest pose, mm."""
    template = _product("jv,vc->jc", body.regressor, body.template)
    # The product of the regressor and the shapes does not grow with the number of bodies.
    shapes = _product("jv,vcs->jcs", body.regressor, body.shapes)
    moved = _product("...s,jcs->...jc", jnp.asarray(shape), shapes)
    return moved + prepend_axes(template, moved.ndim)


def shaped(body: Body, shape: jax.Array) -> jax.Array:
    """Vertices `[..., V, 3]` in the rest pose, without the displacement by pose, mm."""
    moved = _product("...s,vcs->...vc", jnp.asarray(shape), body.shapes)
    return moved + prepend_axes(jnp.asarray(body.template), moved.ndim)


def _chain(
    parents: tuple[int, ...], rotations: jax.Array, joints: jax.Array, lead: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """Rotations `[..., J, 3, 3]` and positions `[..., J, 3]` of the joints, parents first.

    Joints at the same depth of the tree are computed together.
    """
    count = len(parents)
    rotations = jnp.broadcast_to(rotations, (*lead, count, 3, 3))
    joints = jnp.broadcast_to(joints, (*lead, count, 3))
    turned: list[Any] = [None] * count
    placed: list[Any] = [None] * count
    turned[0], placed[0] = rotations[..., 0, :, :], joints[..., 0, :]
    for level in levels(parents)[1:]:
        above = jnp.stack([turned[parents[j]] for j in level], axis=-3)
        base = jnp.stack([placed[parents[j]] for j in level], axis=-2)
        up = [parents[j] for j in level]
        offset = reordered(joints, level, axis=-2) - reordered(joints, up, axis=-2)
        own = _product("...jab,...jbc->...jac", above, reordered(rotations, level, axis=-3))
        at = base + _product("...jab,...jb->...ja", above, offset)
        for place, joint in enumerate(level):
            turned[joint], placed[joint] = own[..., place, :, :], at[..., place, :]
    return jnp.stack(turned, axis=-3), jnp.stack(placed, axis=-2)


def levels(parents: tuple[int, ...]) -> list[list[int]]:
    """Joints by their depth in the tree, the root first."""
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


def _check(body: Body, shape: Any, rotations: Any) -> None:
    if shape.shape[-1:] != (body.num_shapes,):
        raise InputError(
            f"{body.name} has {body.num_shapes} shape numbers, not {shape.shape[-1:]}: cut or pad "
            "with zeros, or read the model with as many."
        )
    count = len(body.parents)
    if rotations.shape[-3:] != (count, 3, 3) and rotations.shape[-2:] != (count, 3):
        raise InputError(
            f"{body.name} has {count} joints: rotations of shape {list(rotations.shape)} have to "
            f"end in [{count}, 3, 3] (matrices) or [{count}, 3] (axis-angle)."
        )
