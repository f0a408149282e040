"""Vector fields: an object's mask, and a direction from each of its pixels to each keypoint."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.codecs.vector_voting import vote
from jaxpose.errors import InputError
from jaxpose.geometry import Udp

OFFSET_UNITS = 10
"""Units of offsets in the longer side of an image: most offsets are then of a few units."""


class VectorFields(NamedTuple):
    """Outputs of a model, float32, of the size of its input or of a part of it.

    Attributes:
      mask: `[B, H, W, 2]` logits of the background and of the object; targets have 0 and 1.
      vectors: `[B, H, W, 2 K]` unit vectors (x, y) to each keypoint, or offsets; targets are 0
        outside the object.
    """

    mask: jax.Array
    vectors: jax.Array


@dataclass(frozen=True)
class FieldVoting:
    """Codec of vector fields: keypoints by the votes of an object's pixels.

    PVNet (Peng et al. 2019, arXiv:1812.11788). Keypoints may be hidden or outside the image; the
    score is the share of the pixels that point at a keypoint, and `Decoded.covariance` the spread
    of the votes in square pixels of the input, for `geometry.pose_refinement`. The published
    keypoint is the point nearest to the lines of the winner's voters, which noise of the directions
    moves towards the object's middle; here it is the start of `vector_voting.nearest_by_angle`.

    Attributes:
      input_hw: height and width of the input, pixels.
      stride: pixels of the input per pixel of the maps; 1 as published. Directions change slowly,
        so coarse maps lose little and are trained in less time.
      offsets: vectors are offsets to the keypoints in tenths of the longer side of the input,
        rather than unit vectors. Votes use directions alone; `VectorFieldHead(positions=True)`
        learns offsets much faster.
      hypotheses: number of pairs of pixels whose lines are intersected for each keypoint.
      voters: largest number of pixels that vote.
      threshold: cosine of the largest angle of a vote.
      angle_steps: steps of the refinement by angles; 0 for the published keypoints and covariances.
      seed: decides which pixels are drawn; the same for each image.
    """

    input_hw: tuple[int, int]
    stride: int = 1
    offsets: bool = False
    hypotheses: int = 128
    voters: int = 1024
    threshold: float = 0.99
    angle_steps: int = 6
    seed: int = 0
    udp: ClassVar[Udp] = False
    averages: ClassVar[bool] = False
    """A mirrored object is another one, so there is no flip test."""
    takes_mask: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.hypotheses < 1 or self.voters < 2 or not 0 < self.threshold < 1:
            raise InputError(
                "FieldVoting needs hypotheses >= 1, voters >= 2 and a threshold in (0, 1); got "
                f"{self.hypotheses}, {self.voters} and {self.threshold}."
            )
        if self.stride < 1 or any(side % self.stride for side in self.input_hw):
            raise InputError(
                f"FieldVoting needs a stride that divides both sides of {self.input_hw}, and it is "
                f"{self.stride}."
            )
        if self.angle_steps < 0:
            raise InputError(f"angle_steps must not be negative, and is {self.angle_steps}.")

    @property
    def map_hw(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (((*self.map_hw, 2), (*self.map_hw, 2 * num_keypoints)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode `VectorFields`, and weights `[B, K]`: 1 for labelled keypoints.

        Args:
          sample: keypoints `[B, K, 2]`, visible `[B, K]`, mask `[B, H, W]`.

        Raises:
          InputError: the sample has no mask.
        """
        if sample.mask is None:
            raise InputError(
                "FieldVoting needs the masks of objects: train with a dataset that has them, such "
                "as SyntheticObjects or BopObjects."
            )
        points = jnp.asarray(sample.keypoints, jnp.float32)
        weights = sample.weights() * jnp.isfinite(points).all(axis=-1).astype(jnp.float32)
        points = jnp.where(weights[..., None] > 0, points, 0.0)
        (height, width), n = self.map_hw, self.stride
        share = sample.mask.reshape(-1, height, n, width, n).mean(axis=(2, 4))
        inside = share > 0.5
        # x and y apart: on CPUs, arrays with a last axis of two take several times as long.
        away_x = points[:, None, None, :, 0] - self._centres(width)[None, None, :, None]
        away_y = points[:, None, None, :, 1] - self._centres(height)[None, :, None, None]
        if self.offsets:
            length = jnp.full(inside.shape, max(self.input_hw) / OFFSET_UNITS)[..., None]
        else:
            length = jnp.sqrt(jnp.maximum(away_x**2 + away_y**2, 1e-6))
        known = inside[..., None] & (weights[:, None, None] > 0)
        shape = (*inside.shape, points.shape[1])
        away_x, away_y = (jnp.broadcast_to(away / length, shape) for away in (away_x, away_y))
        vectors = jnp.stack([away_x, away_y], axis=-1)
        vectors = jnp.where(known[..., None], vectors, 0.0)
        object_share = inside.astype(jnp.float32)[..., None]
        mask = jnp.concatenate([1 - object_share, object_share], axis=-1)
        return Targets(VectorFields(mask, vectors.reshape(*inside.shape, -1)), weights)

    def decode(self, outputs: Any) -> Decoded:
        """Decode keypoints, with the share of the votes as scores, and covariances."""
        inside = outputs.mask[..., 1] > outputs.mask[..., 0]
        vectors = outputs.vectors.astype(jnp.float32)
        vectors = vectors.reshape(*vectors.shape[:3], -1, 2)

        def one(fields: tuple[jax.Array, jax.Array]) -> Any:
            return vote(
                jax.random.key(self.seed),
                *fields,
                hypotheses=self.hypotheses,
                voters=self.voters,
                threshold=self.threshold,
                angle_steps=self.angle_steps,
            )

        # One image at a time: hypotheses times voters of a batch would take gigabytes.
        found = jax.lax.map(one, (inside, vectors))
        valid = found.share > 0
        keypoints = found.keypoints * self.stride + (self.stride - 1) / 2
        covariance = found.covariance * self.stride**2
        return Decoded(keypoints, found.share, found.share, valid, covariance=covariance)

    def _centres(self, count: int) -> jax.Array:
        """Centres of `count` pixels of the maps along one axis, in pixels of the input."""
        return jnp.arange(count, dtype=jnp.float32) * self.stride + (self.stride - 1) / 2

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Vector fields of mirrored images are not averaged: flip_test=False.")

    def average(self, a: Any, b: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Vector fields of mirrored images are not averaged: flip_test=False.")
