"""Loss of PoseNet's fields: probabilities, offsets and displacements."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxpose.geometry.lookup import reordered
from jaxpose.losses.center_offsets import mean_error
from jaxpose.losses.loss import Loss


@dataclass(frozen=True)
class DisplacementFieldLoss(Loss):
    """Cross entropy of probabilities and absolute error of vectors (PersonLab, arXiv:1803.08225).

    Compares the fields (heatmaps, offsets, forward, backward) that `codecs.DisplacementFields`
    encodes. Its weights are as many fields; those of `codecs.SinglePersonFields` are `[B, K]`, from
    which the fields follow.

    Attributes:
      tree: edges (parent, child) of the codec, for weights `[B, K]`.
      radius: the codec's; errors of vectors are relative to it.
      offset: weight of the offsets.
      displacement: weight of the displacements, in both directions.
    """

    tree: tuple[tuple[int, int], ...]
    radius: float = 32.0
    offset: float = 1.0
    displacement: float = 0.25

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss, and its terms `heatmaps`, `offsets` and `displacements`."""
        if isinstance(weights, tuple):
            whole, near, forward, backward = weights
        else:
            whole, near, forward, backward = self._of_one_person(targets.heatmaps, weights)
        logits = outputs.heatmaps.astype(jnp.float32)
        entropy = jnp.logaddexp(0.0, logits) - targets.heatmaps * logits
        terms = {
            "heatmaps": jnp.mean(whole * entropy),
            "offsets": self.offset / self.radius * _error(outputs, targets, near, "offsets"),
            "displacements": self.displacement
            / self.radius
            * (
                _error(outputs, targets, forward, "forward")
                + _error(outputs, targets, backward, "backward")
            ),
        }
        return jnp.asarray(sum(terms.values())), terms

    def _of_one_person(self, heatmaps: jax.Array, weights: jax.Array) -> tuple[jax.Array, ...]:
        parents, children = zip(*self.tree, strict=True)
        weight = weights[:, None, None]
        near = weight * heatmaps
        both = reordered(weight, parents, axis=3) * reordered(weight, children, axis=3)
        forward, backward = (
            reordered(heatmaps, ends, axis=3) * both for ends in (parents, children)
        )
        return jnp.broadcast_to(weight, heatmaps.shape), near, forward, backward


def _error(outputs: Any, targets: Any, weights: jax.Array, name: str) -> jax.Array:
    """`mean_error` of a field in which all y come before all x."""
    given, wanted = (_in_pairs(getattr(fields, name)) for fields in (outputs, targets))
    return mean_error(given, wanted, weights)


def _in_pairs(field: jax.Array) -> jax.Array:
    halves = field.reshape(*field.shape[:3], 2, -1)
    return jnp.swapaxes(halves, 3, 4).reshape(field.shape)
