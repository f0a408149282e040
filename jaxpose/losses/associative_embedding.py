"""Loss of associative embedding: heatmaps, and tags that are pulled together and pushed apart."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.geometry.lookup import values_at
from jaxpose.losses.loss import Loss, difference


@dataclass(frozen=True)
class AssociativeEmbeddingLoss(Loss):
    """Squared error of heatmaps, and pull and push of tags (arXiv:1611.05424, section 3.2).

    Compares `TagMaps` with what `codecs.AssociativeEmbedding` encodes. Means are taken over all
    pixels and images.

    Attributes:
      tag: weight of pull and push, as in HigherHRNet.
      push: weight of the push relative to the pull.
    """

    tag: float = 1e-3
    push: float = 0.5

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss, and its terms `heatmaps`, `fine` (of two resolutions), `pull` and `push`."""
        pull, push = pull_and_push(outputs.tags, targets.cell, targets.known)
        terms = {
            "heatmaps": _masked(outputs.heatmaps, targets.heatmaps, weights.heatmaps),
            "pull": self.tag * pull.mean(),
            "push": self.tag * self.push * push.mean(),
        }
        if targets.fine is not None:
            terms["fine"] = _masked(outputs.fine, targets.fine, weights.fine)
        return jnp.asarray(sum(terms.values())), terms


def _masked(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    return jnp.mean(weights[..., None] * jnp.square(difference(outputs, targets)))


def pull_and_push(
    tags: jax.Array, cell: jax.Array, known: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Pull and push of each image, `[B]`.

    The pull is the squared distance of a person's tags from their mean t, averaged over tags, then
    over people; the push is exp(-(t - t')^2), averaged over pairs of people. Pairs of a person with
    itself add 1 to the sum, as in MMPose. An image of one person has no push.

    Args:
      tags: `[B, h, w, K]`, or `[B, h, w, K, L]` for tags of L numbers.
      cell: pixel `y w + x` of each keypoint, int `[B, P, K]`.
      known: bool `[B, P, K]`, False for keypoints without a tag.
    """
    batch, height, width, count = tags.shape[:4]
    flat = tags.astype(jnp.float32).reshape(batch, height * width, count, -1)
    index = jnp.broadcast_to(cell[..., None], (*cell.shape, flat.shape[-1]))
    own = values_at(flat, index, axis=1)  # [B, P, K, L]
    number = known.sum(axis=-1)
    some = jnp.maximum(number, 1)[..., None]
    mean = jnp.where(known[..., None], own, 0.0).sum(axis=2) / some
    away = jnp.where(known[..., None], jnp.square(own - mean[:, :, None]), 0.0)
    spread = (away.sum(axis=2) / some).mean(axis=-1)
    there = number > 0
    people = there.sum(axis=-1)
    pull = jnp.where(there, spread, 0.0).sum(axis=-1) / (people + 1e-6)
    apart = jnp.exp(-jnp.square(mean[:, :, None] - mean[:, None])).sum(axis=-1)
    both = there[:, :, None] & there[:, None]
    total = jnp.where(both, apart, 0.0).sum(axis=(1, 2))
    push = jnp.where(people > 1, total / (people * (people - 1) + 1e-6), 0.0)
    return pull, push
