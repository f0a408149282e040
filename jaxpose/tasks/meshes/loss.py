"""Loss of models of meshes: parameters, keypoints in 3D, and their projection into the crop."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.landmarks import Landmarks
from jaxpose.bodies.network_body import read_network_body
from jaxpose.bodies.prior import PosePrior
from jaxpose.geometry.rotations import axis_angle_from_matrix
from jaxpose.geometry.weak_cameras import translation_in_crop
from jaxpose.losses import Loss
from jaxpose.losses.loss import length
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.skeletons import COCO17

_MM = 1000.0
HIPS = np.array([COCO17.keypoints.index(f"{side}_hip") for side in ("left", "right")])
"""Numbers of the hips in COCO-17: 3D keypoints without a body are about their middle."""


class MeshTargets(NamedTuple):
    """Bodies of a batch, and where their keypoints are in the crop.

    Attributes:
      rotations: `[B, J, 3, 3]`, the root's in the camera's frame.
      shape: `[B, S]`.
      points: `[B, K, 3]` m in axes that are the camera's, of any origin.
      keypoints: `[B, K, 2]` from the middle of the crop, in its sides (see `codecs.MeshCodec`).
    """

    rotations: jax.Array
    shape: jax.Array
    points: jax.Array
    keypoints: jax.Array


class MeshWeights(NamedTuple):
    """Weights of `MeshTargets`.

    Attributes:
      bodies: `[B]` of rotations and shape.
      points: `[B, K]` of the keypoints in 3D; a person without a weight for both hips has none.
      keypoints: `[B, K]` of the projected keypoints.
    """

    bodies: jax.Array
    points: jax.Array
    keypoints: jax.Array


@dataclass(frozen=True)
class MeshLoss(Loss):
    """Sum of five losses, each a mean over the people (SPIN, arXiv:1909.12828, section 3.2).

    Distances of keypoints of COCO-17, projected (in sides of the crop) and in 3D (m, about the
    middle of the hips); mean squared error for the elements of rotations, and for shape numbers. A
    label that is not known counts 0. The prior is that of fits: the Gaussian over poses of drawn
    people (`bodies.prior`), and the unit Gaussian over shapes; half the mean of the squared numbers
    of deviations.

    Attributes:
      projection, points, rotations, shape, prior: factors; 0 leaves a part out.
      focal: focal length of the network's camera, see `codecs.MeshCodec`.
      body: file of the body model, None for the free body; the experiment sets it to its own.
    """

    projection: float = 5.0
    points: float = 5.0
    rotations: float = 1.0
    shape: float = 0.001
    prior: float = 0.0
    focal: float = 5000 / 256
    body: str | None = None

    def with_terms(
        self, outputs: MeshOutputs, targets: MeshTargets, weights: MeshWeights
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the mean over people, and its terms; see `losses.Loss`."""
        body = read_network_body(
            self.body, joints=outputs.rotations.shape[1], shapes=outputs.shape.shape[1]
        )
        found = keypoints_in_3d(body.places, outputs.shape, outputs.rotations)
        shift = translation_in_crop(outputs.camera, self.focal, 1.0)
        ahead = found + shift[:, None]
        projected = self.focal * ahead[..., :2] / jnp.maximum(ahead[..., 2:], 0.1)
        off = length(projected - targets.keypoints)
        away = length(about_hips(found) - about_hips(targets.points))
        hips = weights.points[:, HIPS].min(axis=1, keepdims=True)
        turned = jnp.square(outputs.rotations - targets.rotations).mean(axis=(1, 2, 3))
        other = jnp.square(outputs.shape - targets.shape).mean(axis=1)
        each = {
            "projection": self.projection * _weighted_mean(off, weights.keypoints),
            "points": self.points * _weighted_mean(away, weights.points * hips),
            "rotations": self.rotations * weights.bodies * turned,
            "shape": self.shape * weights.bodies * other,
        }
        if self.prior:
            there = weights.keypoints.max(axis=1)
            each["prior"] = self.prior * there * _unusual(body.prior, outputs)
        terms = {name: value.mean().astype(jnp.float32) for name, value in each.items()}
        return sum(terms.values(), jnp.float32(0)), terms


def _weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Means `[B]` over the keypoints of `[B, K]`; 0 without weights."""
    return (values * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1.0)


def about_hips(points: jax.Array) -> jax.Array:
    """Keypoints of COCO-17 `[B, K, 3]` about the middle of the hips."""
    return points - points[:, HIPS].mean(axis=1, keepdims=True)


def _unusual(prior: PosePrior, outputs: MeshOutputs) -> jax.Array:
    """Half the mean square `[B]` of the deviations of pose and shape from the prior."""
    # One Gaussian, which does not rate the direction up, its last three features.
    numbers = prior.numbers
    mean, whitening = numbers.means[0, :-3], numbers.whitenings[0, :-3, :-3]
    pose = axis_angle_from_matrix(outputs.rotations[:, 1:]).reshape(len(outputs.rotations), -1)
    deviations = jnp.concatenate([(pose - mean[None]) @ whitening.T, outputs.shape], axis=1)
    return 0.5 * jnp.square(deviations).mean(axis=1)


def keypoints_in_3d(places: Landmarks, shape: jax.Array, rotations: jax.Array) -> jax.Array:
    """Keypoints `[B, K, 3]` of bodies, m, where the translation is zero."""
    return places.points(shape, rotations, None) / _MM
