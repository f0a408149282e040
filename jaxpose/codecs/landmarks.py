"""Landmarks in pixels, as the heads of BlazePose, of hands and of the face mesh return them."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered

# Points of BlazePose after the keypoints: centre, scale and rotation of the region, unused ones.
_AUXILIARY = 6


class LandmarkOutputs(NamedTuple):
    """Outputs of a landmark head, float32; None where a model does not have one.

    Attributes:
      landmarks: `[B, K, D]`: x, y and z in pixels of the input, from its outer edge; D is 3, or 5
        with the logits of visibility and of presence within the image.
      presence: `[B, 1]` probability that the body, hand or face is there; of faces the logit.
      world: `[B, K, 3]` positions in metres, from the middle of the hips or of the hand.
      handedness: `[B, 1]` probability of a right hand, in an image that is mirrored like a selfie.
      heatmaps: `[B, H / 4, W / 4, K]`.
      segmentation: `[B, H, W, 1]` logits of the person's pixels.
    """

    landmarks: jax.Array
    presence: jax.Array
    world: jax.Array | None = None
    handedness: jax.Array | None = None
    heatmaps: jax.Array | None = None
    segmentation: jax.Array | None = None


class LandmarkTargets(NamedTuple):
    """Targets of `Landmarks`.

    Attributes:
      points: `[B, K, 2]` (x, y) in pixels from the outer edge of the input.
      visible: `[B, K]` 1 for visible keypoints, 0 for occluded ones.
    """

    points: jax.Array
    visible: jax.Array


@dataclass(frozen=True)
class Landmarks:
    """Coordinates in pixels, with a probability for each point or for all of them.

    The outputs are `LandmarkOutputs`. Coordinates are distances
    from the outer edge of the input, so half a pixel more than positions with pixel centres at
    integers. The score of a keypoint of a body is the probability that it is visible; that of a
    hand's or a face's is the probability that the hand or face is there. A "region" is two points
    that define the square of a hand (`models.hand_region`).

    Attributes:
      part: "body", "hand", "face" or "region".
      input_hw: size of the model's input, the frame of the keypoints.
      udp: convention of the crops; published weights need "edges".
    """

    part: Literal["body", "hand", "face", "region"]
    input_hw: tuple[int, int] = (256, 256)
    udp: Udp = "edges"

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        height, width = self.input_hw
        if self.part in ("face", "region"):
            return (((num_keypoints, 3), (1,)),)
        if self.part == "hand":
            return (((num_keypoints, 3), (1,), (num_keypoints, 3), (1,)),)
        points = num_keypoints + _AUXILIARY
        maps = (height // 4, width // 4, points), (height, width, 1)
        return (((points, 5), (1,), (points, 3), *maps),)

    def encode(self, sample: Sample) -> Targets:
        """Encode `LandmarkTargets`, and weights `[B, K]`: 1 for labelled keypoints.

        Keypoints outside the input have targets, too: the model returns such coordinates.
        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        points = sample.keypoints.astype(jnp.float32)
        finite = jnp.isfinite(points)
        weights = sample.weights() * finite.all(axis=-1).astype(jnp.float32)
        visible = (sample.visible == 2).astype(jnp.float32)
        return Targets(LandmarkTargets(jnp.where(finite, points, 0.0) + 0.5, visible), weights)

    def decode(self, outputs: LandmarkOutputs) -> Decoded:
        """Decode keypoints in pixels of the input, pixel centres at integers.

        Raises:
          InputError: the outputs have other fields.
        """
        if not isinstance(outputs, LandmarkOutputs):
            raise InputError(
                f"Outputs of type {type(outputs).__name__} are no landmarks: use this codec with "
                "BlazePose, a hand model or the face mesh."
            )
        landmarks = outputs.landmarks.astype(jnp.float32)
        if self.part == "body":
            landmarks = landmarks[:, :-_AUXILIARY]
            raw = landmarks[..., 3]
            scores = jax.nn.sigmoid(raw)
        else:
            raw = jnp.broadcast_to(outputs.presence.astype(jnp.float32), landmarks.shape[:2])
            scores = jax.nn.sigmoid(raw) if self.part == "face" else raw
        return Decoded(landmarks[..., :2] - 0.5, scores, raw, jnp.ones(raw.shape, bool))

    def flip_back(self, outputs: LandmarkOutputs, permutation: Any) -> LandmarkOutputs:
        """Convert outputs for the mirrored input to the frame of the original input."""
        # Auxiliary points are in the middle of the body.
        order = jnp.concatenate(
            [jnp.asarray(permutation), jnp.arange(len(permutation), outputs.landmarks.shape[1])]
        )
        landmarks = reordered(outputs.landmarks, order, axis=1)
        x = self.input_hw[1] - landmarks[..., :1]
        landmarks = jnp.concatenate([x, landmarks[..., 1:]], axis=-1)
        changed = {"landmarks": landmarks}
        if outputs.world is not None:
            world = reordered(outputs.world, order, axis=1)
            changed["world"] = jnp.concatenate([-world[..., :1], world[..., 1:]], axis=-1)
        if outputs.handedness is not None:
            changed["handedness"] = 1.0 - outputs.handedness
        if outputs.heatmaps is not None:
            changed["heatmaps"] = mirror_maps(outputs.heatmaps, order)
        if outputs.segmentation is not None:
            changed["segmentation"] = outputs.segmentation[:, :, ::-1]
        return outputs._replace(**changed)

    def average(self, a: Any, b: Any) -> Any:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)
