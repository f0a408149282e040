"""Loss of models of meshes: parameters, keypoints in 3D, and their projection into the crop."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.bodies import drawn_body
from jaxpose.bodies.landmarks import Landmarks, landmarks
from jaxpose.geometry.weak_cameras import translation_in_crop
from jaxpose.losses import Loss
from jaxpose.losses.loss import length
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.skeletons import COCO17

_MM = 1000.0


class MeshTargets(NamedTuple):
    """Bodies of a batch, and where their keypoints are in the crop.

    Attributes:
      rotations: `[B, J, 3, 3]`, the root's in the camera's frame.
      shape: `[B, S]`.
      keypoints: `[B, K, 2]` from the middle of the crop, in its sides (see `codecs.MeshCodec`).
    """

    rotations: jax.Array
    shape: jax.Array
    keypoints: jax.Array


class MeshWeights(NamedTuple):
    """Weights of `MeshTargets`.

    Attributes:
      bodies: `[B]` of rotations, shape and keypoints in 3D.
      keypoints: `[B, K]` of the projected keypoints.
    """

    bodies: jax.Array
    keypoints: jax.Array


@dataclass(frozen=True)
class MeshLoss(Loss):
    """Sum of four losses, each a mean over the people (SPIN, arXiv:1909.12828, section 3.2).

    Distances of keypoints of COCO-17, projected (in sides of the crop) and in 3D (m, about the
    body's origin); mean squared error for the elements of rotations, and for shape numbers.

    Attributes:
      projection, points, rotations, shape: factors; 0 leaves a part out.
      focal: focal length of the network's camera, see `codecs.MeshCodec`.
    """

    projection: float = 5.0
    points: float = 5.0
    rotations: float = 1.0
    shape: float = 0.001
    focal: float = 5000 / 256

    def with_terms(
        self, outputs: MeshOutputs, targets: MeshTargets, weights: MeshWeights
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the mean over people, and its four terms; see `losses.Loss`."""
        places = drawn_landmarks()
        found = keypoints_in_3d(places, outputs.shape, outputs.rotations)
        true = keypoints_in_3d(places, targets.shape, targets.rotations)
        shift = translation_in_crop(outputs.camera, self.focal, 1.0)
        ahead = found + shift[:, None]
        projected = self.focal * ahead[..., :2] / jnp.maximum(ahead[..., 2:], 0.1)
        off = length(projected - targets.keypoints) * weights.keypoints
        count = jnp.maximum(weights.keypoints.sum(axis=1), 1.0)
        turned = jnp.square(outputs.rotations - targets.rotations)
        each = {
            "projection": self.projection * off.sum(axis=1) / count,
            "points": self.points * weights.bodies * length(found - true).mean(axis=1),
            "rotations": self.rotations * weights.bodies * turned.mean(axis=(1, 2, 3)),
            "shape": self.shape
            * weights.bodies
            * jnp.square(outputs.shape - targets.shape).mean(axis=1),
        }
        terms = {name: value.mean().astype(jnp.float32) for name, value in each.items()}
        return sum(terms.values(), jnp.float32(0)), terms


def drawn_landmarks() -> Landmarks:
    """Keypoints of COCO-17 on the free body."""
    return landmarks(drawn_body(), COCO17)


def keypoints_in_3d(places: Landmarks, shape: jax.Array, rotations: jax.Array) -> jax.Array:
    """Keypoints `[B, K, 3]` of bodies, m, where the translation is zero."""
    return places.points(shape, rotations, None) / _MM
