"""Optimal assignment with fixed shapes: each of n rows to a column, at the lowest total cost.

Jonker and Volgenant 1987, "A shortest augmenting path algorithm": one row after another, in loops
that end after the rows that exist.
"""

from typing import Any

import jax
import jax.numpy as jnp

# Distance in the search of columns that cannot be reached. With `vmap`, rows that a sample does not
# have are searched, too: with infinite distances no column would be the nearest, and the search
# would only end where argmin takes NaN for the lowest number, which ONNX's does not.
_UNREACHABLE = 1e30


def assign(cost: jax.Array, rows: jax.Array) -> jax.Array:
    """Column of each of the first `rows` rows of `cost` `[N, N]`; -1 for the others, int `[N]`.

    At least `rows` columns must be finite; others may be infinite and are not chosen.
    """
    size = cost.shape[0]
    # Column 0 is the start of a path; rows and columns count from 1.
    wide = jnp.full((size + 1, size + 1), jnp.inf).at[1:, 1:].set(cost)

    def add(i: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        u, v, owner = state
        owner = owner.at[0].set(i + 1)

        def search(path: Any) -> Any:
            u, v, least, way, used, column = path
            used = used.at[column].set(True)
            row = owner[column]
            reduced = wide[row] - u[row] - v
            better = ~used & (reduced < least)
            least = jnp.where(better, reduced, least)
            way = jnp.where(better, column, way)
            free = jnp.where(used, jnp.inf, jnp.minimum(least, _UNREACHABLE))
            following = jnp.argmin(free)
            delta = free[following]
            u = u.at[jnp.where(used, owner, size + 1)].add(delta, mode="drop")
            v = v - jnp.where(used, delta, 0.0)
            least = jnp.where(used, least, least - delta)
            return u, v, least, way, used, following

        def unfinished(path: Any) -> Any:
            return owner[path[5]] != 0

        start = (
            *(u, v, jnp.full(size + 1, jnp.inf), jnp.zeros(size + 1, int)),
            *(jnp.zeros(size + 1, bool), jnp.zeros((), int)),
        )
        u, v, _, way, _, column = jax.lax.while_loop(unfinished, search, start)

        def shift(place: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            owner, column = place
            return owner.at[column].set(owner[way[column]]), way[column]

        owner, _ = jax.lax.while_loop(lambda place: place[1] != 0, shift, (owner, column))
        return u, v, owner

    zeros = jnp.zeros(size + 1)
    _, _, owner = jax.lax.fori_loop(0, rows, add, (zeros, zeros, jnp.zeros(size + 1, int)))
    owner = owner.at[0].set(0)
    columns = jnp.full(size + 1, -1).at[owner].set(jnp.arange(size + 1) - 1)
    return columns[1:]
