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


class VectorFields(NamedTuple):
    """Outputs of a model of the size of its input, float32.

    Attributes:
      mask: `[B, H, W, 2]` logits of the background and of the object; targets have 0 and 1.
      vectors: `[B, H, W, 2 K]` unit vectors (x, y) of each keypoint; targets are 0 outside the
        object.
    """

    mask: jax.Array
    vectors: jax.Array


@dataclass(frozen=True)
class FieldVoting:
    """Codec of vector fields: keypoints by the votes of an object's pixels.

    PVNet (Peng et al. 2019, arXiv:1812.11788). Keypoints may be hidden or outside the image; the
    score is the share of the pixels that point at a keypoint, and `Decoded.covariance` the spread
    of the votes in square pixels of the input, for `geometry.pose_refinement`.

    Attributes:
      input_hw: height and width of the input and of the maps, pixels.
      hypotheses: number of pairs of pixels whose lines are intersected for each keypoint.
      voters: largest number of pixels that vote.
      threshold: cosine of the largest angle of a vote.
      seed: decides which pixels are drawn; the same for each image.
    """

    input_hw: tuple[int, int]
    hypotheses: int = 128
    voters: int = 1024
    threshold: float = 0.99
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

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (((*self.input_hw, 2), (*self.input_hw, 2 * num_keypoints)),)

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
        inside = sample.mask > 0.5
        height, width = inside.shape[1:]
        y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
        pixels = jnp.stack([x, y], axis=-1).astype(jnp.float32)
        away = points[:, None, None] - pixels[None, :, :, None]
        length = jnp.sqrt(jnp.maximum((away**2).sum(axis=-1, keepdims=True), 1e-6))
        known = inside[..., None, None] & (weights[:, None, None, :, None] > 0)
        vectors = jnp.where(known, away / length, 0.0)
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
            )

        # One image at a time: hypotheses times voters of a batch would take gigabytes.
        found = jax.lax.map(one, (inside, vectors))
        valid = found.share > 0
        return Decoded(
            found.keypoints, found.share, found.share, valid, covariance=found.covariance
        )

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Vector fields of mirrored images are not averaged: flip_test=False.")

    def average(self, a: Any, b: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Vector fields of mirrored images are not averaged: flip_test=False.")
