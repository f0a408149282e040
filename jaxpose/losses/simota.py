"""SimOTA with keypoints: choice of the places that are responsible for each annotated person."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import marked, values_at
from jaxpose.losses.coordinates import keypoint_similarity

# Cost of a place that is not both in a person's box and near the person's centre: such places are
# only taken where no others are left.
_OUTSIDE = 1e5
# Cost of a place or a person that may not be taken at all.
_NEVER = 1e9
_LEAST = 1e-7


class Guesses(NamedTuple):
    """Proposals of all places of one image, in pixels.

    Attributes:
      boxes: `[N, 4]` (x1, y1, x2, y2).
      probability: `[N]`, the score that is compared with 1.
      keypoints: `[N, K, 2]`.
      places: `[N, 2]`; strides: `[N]`.
    """

    boxes: jax.Array
    probability: jax.Array
    keypoints: jax.Array
    places: jax.Array
    strides: jax.Array


class Truth(NamedTuple):
    """Annotated people of one image, P rows; `person` is 0 for padding.

    Attributes:
      boxes: `[P, 4]`; keypoints: `[P, K, 2]`; labelled: float32 `[P, K]`; area: `[P]` in square
        pixels; person: float32 `[P]`.
    """

    boxes: jax.Array
    keypoints: jax.Array
    labelled: jax.Array
    area: jax.Array
    person: jax.Array


class Assignment(NamedTuple):
    """Places that are responsible for people.

    Attributes:
      positive: bool `[N]`.
      person: int32 `[N]`, the row of the person; 0 where not positive.
      overlap: `[N]`, similarity of the proposal and the person; 0 where not positive.
    """

    positive: jax.Array
    person: jax.Array
    overlap: jax.Array


@dataclass(frozen=True)
class SimOTA:
    """SimOTA (YOLOX, arXiv:2107.08430, section 2.1) with a cost of keypoints, as in MMPose.

    A person gets as many places as the sum of the best `candidates` similarities, at least one:
    those of the lowest cost. A place that several people want goes to the one of its lowest cost.

    Attributes:
      radius: half of the side of the square around a person's centre, in strides.
      candidates: largest number of places of a person.
      boxes, keypoints, person: factors of the costs: minus the logarithms of box IoU, of OKS and of
        the probability.
      by: similarity that determines the number of places, OKS ("keypoints") or IoU ("boxes").
      keypoint_center: the centre is the mean of the labelled keypoints instead of the box's middle.
    """

    radius: float = 2.5
    candidates: int = 10
    boxes: float = 3.0
    keypoints: float = 3.0
    person: float = 1.0
    by: Literal["keypoints", "boxes"] = "keypoints"
    keypoint_center: bool = False

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.radius <= 0:
            raise InputError(
                f"candidates must be at least 1 and radius positive, but they are "
                f"{self.candidates} and {self.radius}."
            )

    def __call__(self, guesses: Guesses, truth: Truth, sigmas: tuple[float, ...]) -> Assignment:
        """Assign the places of one image; no gradient flows through the choice."""
        guesses, truth = jax.lax.stop_gradient((guesses, truth))
        number = len(guesses.places)
        real = truth.person > 0
        near, both = self._near(guesses, truth)
        taken = (near & real[None]).any(axis=1)  # [N]
        iou = pair_iou(guesses.boxes[:, None], truth.boxes[None])
        similar = keypoint_similarity(
            guesses.keypoints[:, None] - truth.keypoints[None],
            jnp.broadcast_to(truth.area[None], iou.shape),
            sigmas,
        )
        share = truth.labelled / jnp.maximum(truth.labelled.sum(-1, keepdims=True), 1.0)
        oks = (similar * share[None]).sum(axis=-1)
        overlap = oks if self.by == "keypoints" else iou
        cost = (
            jnp.where(both, 0.0, _OUTSIDE)
            - self.boxes * jnp.log(iou + _LEAST)
            - self.keypoints * jnp.log(oks + _LEAST)
            - self.person * jnp.maximum(jnp.log(guesses.probability), -100.0)[:, None]
        )
        possible = taken[:, None] & real[None]
        cost = jnp.where(possible, cost, _NEVER)
        overlap = jnp.where(possible, overlap, 0.0)
        most = min(self.candidates, number)
        counts = jax.lax.top_k(overlap.T, most)[0].sum(axis=1).astype(jnp.int32)
        counts = jnp.where(real, jnp.maximum(counts, 1), 0)
        lowest, place = jax.lax.top_k(-cost.T, most)  # [P, most]
        wanted = (jnp.arange(most)[None] < counts[:, None]) & (lowest > -_NEVER)
        matches = marked(jnp.where(wanted, 0, -1), place, (1, number))[:, 0].T
        positive = matches.any(axis=1)
        several = matches.sum(axis=1) > 1
        person = jnp.where(several, cost.argmin(axis=1), matches.argmax(axis=1))
        own = values_at(overlap, person[:, None], axis=1)[:, 0]
        return Assignment(
            positive,
            jnp.where(positive, person, 0).astype(jnp.int32),
            jnp.where(positive, own, 0.0),
        )

    def _near(self, guesses: Guesses, truth: Truth) -> tuple[jax.Array, jax.Array]:
        """Places in the box or near the centre of each person, and in both: bool `[N, P]`."""
        places = guesses.places[:, None]
        in_box = (places > truth.boxes[None, :, :2]) & (places < truth.boxes[None, :, 2:])
        center = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
        if self.keypoint_center:
            labelled = truth.labelled[..., None]
            mean = (truth.keypoints * labelled).sum(1) / jnp.maximum(labelled.sum(1), 1.0)
            center = jnp.where(labelled.sum(1) > 0, mean, center)
        reach = self.radius * guesses.strides[:, None, None]
        in_center = jnp.abs(places - center[None]) < reach
        inside, central = in_box.all(axis=-1), in_center.all(axis=-1)
        return inside | central, inside & central


def pair_iou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Intersection over union of boxes `[..., 4]` (x1, y1, x2, y2) that can be broadcast."""
    low, high = jnp.maximum(a[..., :2], b[..., :2]), jnp.minimum(a[..., 2:], b[..., 2:])
    common = jnp.maximum(high - low, 0.0).prod(axis=-1)
    sizes = [jnp.maximum(box[..., 2:] - box[..., :2], 0.0).prod(axis=-1) for box in (a, b)]
    return common / jnp.maximum(sizes[0] + sizes[1] - common, 1e-6)
