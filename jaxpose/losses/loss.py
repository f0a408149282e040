"""The interface of a loss, and what several losses use."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


class Loss:
    """A frozen dataclass that is called with (outputs, targets, weights `[B, K]`).

    The outputs are what a model gives with `train=True`, the targets and weights what its codec
    encodes. A loss defines `__call__` or, if it is a sum of named terms, `with_terms`.
    """

    def __call__(self, outputs: Any, targets: Any, weights: Any) -> jax.Array:
        """The loss, a float32 scalar."""
        return self.with_terms(outputs, targets, weights)[0]

    def with_terms(
        self, outputs: Any, targets: Any, weights: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss, and the terms that add up to it by name; no terms for a loss of one piece.

        Training logs each term as `loss/<name>`.
        """
        if type(self).__call__ is Loss.__call__:
            raise TypeError(
                f"{type(self).__name__} is no loss: it defines neither __call__ nor with_terms."
            )
        return self(outputs, targets, weights), {}


Terms = dict[str, jax.Array]


def term(
    name: str,
    loss: Loss,
    outputs: Any,
    targets: Any,
    weights: Any,
    factor: float | None = None,
) -> tuple[jax.Array, Terms]:
    """`factor` times a loss that is one part of a sum, and its terms under the part's `name`.

    A loss of one piece is the term `name`, one of several pieces has `name/<term>` for each.
    """
    value, terms = loss.with_terms(outputs, targets, weights)
    if factor is not None:
        value, terms = factor * value, {key: factor * part for key, part in terms.items()}
    return value, {f"{name}/{key}": part for key, part in terms.items()} or {name: value}


def add_up(parts: Sequence[tuple[jax.Array, Terms]]) -> tuple[jax.Array, Terms]:
    """The sum of parts, added from the first to the last, and all their terms."""
    total, terms = parts[0][0], dict(parts[0][1])
    for value, more in parts[1:]:
        total, terms = total + value, terms | more
    return total, terms


def weighted_mean(values: jax.Array, weights: Any) -> jax.Array:
    """Mean over B and K of `weights` times `values`, both `[B, K]`: a float32 scalar."""
    return jnp.mean(weights.astype(jnp.float32) * values)


def difference(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """`outputs - targets`, float32 whatever their types."""
    return outputs.astype(jnp.float32) - targets.astype(jnp.float32)


def length(vectors: jax.Array) -> jax.Array:
    """Euclidean norms over the last axis, whose gradient at 0 is 0."""
    squared = jnp.sum(vectors**2, axis=-1)
    safe = jnp.where(squared > 0, squared, 1.0)
    return jnp.where(squared > 0, jnp.sqrt(safe), 0.0)
