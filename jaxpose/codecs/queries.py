"""Codec of models that return a set of people, one for each of their queries (ED-Pose)."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.one_stage import GREY
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import rows_at


class QueryOutputs(NamedTuple):
    """A person for each of N queries.

    Attributes:
      classes: logits `[B, N, C]`.
      boxes: `[B, N, 4]` (centre x, y, width, height) as shares of the input.
      keypoints: `[B, N, K, 2]` (x, y) as shares of the input.
    """

    classes: jax.Array
    boxes: jax.Array
    keypoints: jax.Array


@dataclass(frozen=True)
class PeopleQueries:
    """People of queries, without suppression (ED-Pose, Yang et al. 2023, arXiv:2302.01593).

    Decoding takes the `max_people` highest probabilities of all classes and queries, as published;
    a query can be taken once for each class. All keypoints have the score of the person, and `raw`
    is its logit. There is no training yet.

    Attributes:
      input_hw: size of the model's input.
      threshold: lowest score of a person.
      max_people: largest number of people in one image.
    """

    input_hw: tuple[int, int] = (800, 1344)
    threshold: float = 0.1
    max_people: int = 50

    averages: ClassVar[bool] = False
    border: ClassVar[int] = GREY

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1 or self.max_people < 1:
            raise InputError(
                "threshold must be at least 0 and below 1, and max_people at least 1, but they are "
                f"{self.threshold} and {self.max_people}."
            )

    @property
    def udp(self) -> Udp:
        """Always False: an image's size, not the distance of its outermost pixels, is resized."""
        return False

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Size of the input: there are no maps."""
        return self.input_hw

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """None: the number of queries is the model's; see `check_levels`."""
        del num_keypoints
        return ()

    def check_levels(self, outputs: Any, num_keypoints: int) -> None:
        """Raise InputError if `decode` cannot read these outputs, or shapes of them."""
        keypoints = getattr(outputs, "keypoints", None)
        if keypoints is None or tuple(keypoints.shape[2:]) != (num_keypoints, 2):
            raise InputError(
                f"PeopleQueries decodes the outputs of an EDPoseHead with {num_keypoints} "
                f"keypoints, but the model returns {type(outputs).__name__}."
            )

    def encode(self, sample: Sample) -> Targets:
        """Raise InputError: ED-Pose cannot be trained yet."""
        raise InputError("ED-Pose cannot be trained yet: it has no matching of people to queries.")

    def decode(self, outputs: QueryOutputs) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the most probable first."""
        classes = outputs.classes.shape[-1]
        logits = outputs.classes.reshape(outputs.classes.shape[0], -1).astype(jnp.float32)
        most = min(self.max_people, logits.shape[1])
        best, index = jax.lax.top_k(logits, most)
        size = jnp.array(self.input_hw[::-1], jnp.float32).reshape(1, 1, 1, 2)
        keypoints = rows_at(outputs.keypoints, index // classes) * size
        missing = ((0, 0), (0, self.max_people - most))
        keypoints = jnp.pad(keypoints, (*missing, (0, 0), (0, 0)))
        raw = jnp.pad(best, missing)[..., None]
        score = jnp.pad(jax.nn.sigmoid(best), missing)[..., None]
        shape = keypoints.shape[:-1]
        valid = jnp.broadcast_to((score >= self.threshold) & (score > 0), shape)
        score, raw = (jnp.where(valid, jnp.broadcast_to(x, shape), 0.0) for x in (score, raw))
        return Decoded(jnp.where(valid[..., None], keypoints, 0.0), score, raw, valid)

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Models of queries have no flip test.")

    def average(self, a: Any, b: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("Models of queries have no flip test.")
