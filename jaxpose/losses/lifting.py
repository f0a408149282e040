"""Losses of lifters: joints `[..., K, 3]` over any leading axes, commonly `[B, T, K, 3]`.

Outputs and targets are in one unit, the codec's. Weights are `[..., K]`. The error of single poses
is `coordinates.mpjpe`, which takes the same shapes.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.deprecations import moved_names
from jaxpose.losses.coordinates import mpjpe
from jaxpose.losses.loss import Loss, Terms, add_up, difference, length, weighted_mean

_AHEAD = (
    1e-3  # smallest depth, in the unit of the coordinates: points must be in front of the camera
)


class TrajectoryTargets(NamedTuple):
    """Targets of a lifter with a trajectory, or their weights (without the last axis).

    Attributes:
      pose: joints relative to the root `[B, T, K, 3]`.
      root: `[B, T, 1, 3]` in the camera's frame.
      rays: undistorted points (x / z, y / z) `[B, T, K, 2]`; they have weight where there is no
        label.
    """

    pose: jax.Array
    root: jax.Array
    rays: jax.Array


def trajectory_mpjpe(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Position error of the root divided by its true depth (arXiv:1811.11742, eq. 1).

    An error far away changes the image less and is harder to avoid.

    Args:
      outputs: root in the camera's frame `[..., 1, 3]`.
      targets: of the same shape; depth is z.
      weights: `[..., 1]`.
    """
    depth = jnp.maximum(targets[..., 2].astype(jnp.float32), _AHEAD)
    return mpjpe(outputs, targets, weights / depth)


def mean_bone_length(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    bones: tuple[tuple[int, int], ...],
    target_weights: jax.Array | None = None,
) -> jax.Array:
    """Mean over bones of the difference between two batches' mean lengths.

    For unlabelled people beside labelled ones (arXiv:1811.11742, section 4): the bones of an
    unlabelled person are unknown, but the mean lengths of large groups are similar.

    Args:
      outputs: poses of the unlabelled batch `[..., K, 3]`.
      targets: poses of the labelled batch `[..., K, 3]`, of any other size.
      weights: `[..., K]` of the unlabelled batch; a bone's weight is the product of its ends'.
      bones: indices of the two ends of each bone.
      target_weights: `[..., K]` of the labelled batch; ones if absent.
    """
    start, end = np.asarray(bones, np.int32).reshape(-1, 2).T

    def lengths(points: jax.Array) -> jax.Array:
        points = points.astype(jnp.float32)
        sizes = length(points[..., end, :] - points[..., start, :])
        return sizes.reshape(-1, len(bones))

    def mean(points: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        weights = weights.astype(jnp.float32)
        known = (weights[..., start] * weights[..., end]).reshape(-1, len(bones))
        total = known.sum(axis=0)
        return (known * lengths(points)).sum(axis=0) / jnp.where(total > 0, total, 1.0), total > 0

    ours, there = mean(outputs, weights)
    if target_weights is None:
        target_weights = jnp.ones(targets.shape[:-1], jnp.float32)
    theirs, here = mean(targets, target_weights)
    return jnp.mean(jnp.where(there & here, jnp.abs(ours - theirs), 0.0))


def reprojection(
    outputs: tuple[jax.Array, jax.Array], targets: jax.Array, weights: jax.Array
) -> jax.Array:
    """Distance in the image plane between a lifter's projected joints and its input points.

    The projection loss of arXiv:1811.11742, section 4, which distorts the projected points by the
    lens; here the targets are undistorted beforehand, and no camera is needed.

    Args:
      outputs: root-relative joints `[..., K, 3]` and root `[..., 1, 3]`, camera frame, one unit.
      targets: undistorted points (x / z, y / z) `[..., K, 2]`, as `geometry.cameras.normalise`
        returns for pixels.
      weights: `[..., K]`.
    """
    pose, root = (part.astype(jnp.float32) for part in outputs)
    joints = pose + root
    image = joints[..., :2] / jnp.maximum(joints[..., 2:], _AHEAD)
    # Early in training a depth may be near zero; no camera's view exceeds 45 degrees from the axis.
    return mpjpe(jnp.clip(image, -1.0, 1.0), targets, weights)


def velocity(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean distance between first differences over frames (arXiv:2210.06551, eq. 7).

    Args:
      outputs: `[B, T, K, 3]`; the value is 0 where T is 1.
      targets: of the same shape.
      weights: `[B, T, K]`; a difference's weight is the product of its frames' weights.
    """
    if outputs.shape[1] < 2:
        return jnp.zeros((), jnp.float32)
    error = difference(outputs, targets)
    return weighted_mean(length(error[:, 1:] - error[:, :-1]), weights[:, 1:] * weights[:, :-1])


def acceleration(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean distance between second differences over frames (SmoothNet, arXiv:2112.13715, eq. 5).

    Args:
      outputs: `[B, T, K, D]`; the value is 0 where T is below 3.
      targets: of the same shape.
      weights: `[B, T, K]`; a difference's weight is the product of its frames' weights.
    """
    if outputs.shape[1] < 3:
        return jnp.zeros((), jnp.float32)
    error = difference(outputs, targets)
    second = error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]
    return weighted_mean(length(second), weights[:, 2:] * weights[:, 1:-1] * weights[:, :-2])


def n_mpjpe(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """`mpjpe` after scaling each pose to its target by least squares.

    Rhodin et al., arXiv:1803.05322, section 4.1. Joints of weight 0 do not influence the scale.
    """
    outputs, targets = outputs.astype(jnp.float32), targets.astype(jnp.float32)
    known = weights.astype(jnp.float32)[..., None]
    along = jnp.sum(known * outputs * targets, axis=(-2, -1), keepdims=True)
    square = jnp.sum(known * outputs**2, axis=(-2, -1), keepdims=True)
    return mpjpe(along / jnp.where(square > 0, square, 1.0) * outputs, targets, weights)


@dataclass(frozen=True)
class TrajectoryMPJPE(Loss):
    """`trajectory_mpjpe` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return trajectory_mpjpe(outputs, targets, weights)


@dataclass(frozen=True)
class MeanBoneLength(Loss):
    """`mean_bone_length` as an object for a config."""

    bones: tuple[tuple[int, int], ...]

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return mean_bone_length(outputs, targets, weights, bones=self.bones)


@dataclass(frozen=True)
class Reprojection(Loss):
    """`reprojection` as an object for a config."""

    def __call__(
        self, outputs: tuple[jax.Array, jax.Array], targets: jax.Array, weights: jax.Array
    ) -> jax.Array:
        return reprojection(outputs, targets, weights)


@dataclass(frozen=True)
class Velocity(Loss):
    """`velocity` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return velocity(outputs, targets, weights)


@dataclass(frozen=True)
class Acceleration(Loss):
    """`acceleration` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return acceleration(outputs, targets, weights)


@dataclass(frozen=True)
class NMPJPE(Loss):
    """`n_mpjpe` as an object for a config.

    MotionBERT's loss is `WeightedSum((MPJPE(), NMPJPE(), Velocity()), (1.0, 0.5, 20.0))`.
    """

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return n_mpjpe(outputs, targets, weights)


@dataclass(frozen=True)
class SemiSupervised(Loss):
    """Pose and trajectory losses for labelled samples, reprojection and bone lengths for others.

    Targets and weights are `TrajectoryTargets`.

    The sum of arXiv:1811.11742, section 4, on a batch with both kinds. Each term is a mean over its
    own part of the batch, so that its size does not depend on the size of that part.

    Attributes:
      bones: indices of the two ends of each bone.
      reprojection, bone_length: factors of the two terms for unlabelled samples.
    """

    bones: tuple[tuple[int, int], ...]
    reprojection: float = 1.0
    bone_length: float = 1.0

    def with_terms(
        self, outputs: tuple[jax.Array, jax.Array], targets: TrajectoryTargets, weights: Any
    ) -> tuple[jax.Array, Terms]:
        """Computes the loss, and its terms `pose`, `trajectory`, `reprojection`, `bone_length`."""
        pose, root = outputs

        def share(value: jax.Array, part: jax.Array) -> jax.Array:
            known = weighted_mean(jnp.ones(part.shape, jnp.float32), part)
            return value / jnp.where(known > 0, known, 1.0)

        # In this order: gradients with respect to `pose` and `root` add up in the order of use.
        supervised = share(mpjpe(pose, targets.pose, weights.pose), weights.pose)
        trajectory = share(trajectory_mpjpe(root, targets.root, weights.root), weights.root)
        seen = share(reprojection(outputs, targets.rays, weights.rays), weights.rays)
        bones = mean_bone_length(
            pose, targets.pose, weights.rays, bones=self.bones, target_weights=weights.pose
        )
        terms = {
            "pose": supervised,
            "trajectory": trajectory,
            "reprojection": self.reprojection * seen,
            "bone_length": self.bone_length * bones,
        }
        return add_up([(value, {name: value}) for name, value in terms.items()])


__getattr__ = moved_names(__name__)
