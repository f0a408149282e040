"""Augmentation of clips: mirror, rotation, size; all frames and people of a clip alike."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxpose.tasks.actions.experiment import ActionExperiment


def augmented(
    key: jax.Array, framed: jax.Array, scores: jax.Array, experiment: "ActionExperiment"
) -> tuple[jax.Array, jax.Array]:
    """Change framed coordinates `[B, T, P, K, D]` and scores `[B, T, P, K]` at random, by clip."""
    mirror_key, turn_key, scale_key = jax.random.split(key, 3)
    codec, size = experiment.codec, framed.shape[0]
    if experiment.mirror:
        chosen = jax.random.bernoulli(mirror_key, 0.5, (size, 1, 1, 1))
        points, certain = codec.mirrored(framed, scores, experiment.skeleton.flip_permutation)
        framed = jnp.where(chosen[..., None], points, framed)
        scores = jnp.where(chosen, certain, scores)
    if experiment.rotate:
        largest = jnp.deg2rad(experiment.rotate)
        angles = jax.random.uniform(turn_key, (size, 3), minval=-largest, maxval=largest)
        turn = _turn_3d(angles) if framed.shape[-1] == 3 else _turn_2d(angles[:, 0])
        framed = jnp.einsum("btpkd,bed->btpke", framed, turn)
    if experiment.scale:
        low, high = 1 - experiment.scale, 1 + experiment.scale
        factor = jax.random.uniform(scale_key, (size, 1, 1, 1, 1), minval=low, maxval=high)
        framed = framed * factor
    return framed, scores


def _turn_2d(angle: jax.Array) -> jax.Array:
    """Rotation matrices `[B, 2, 2]` by `angle [B]`."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)


def _turn_3d(angles: jax.Array) -> jax.Array:
    """Rotation matrices `[B, 3, 3]` about x, then y, then z by `angles [B, 3]`."""
    whole = jnp.eye(3)[None]
    for axis in range(3):
        flat, (i, j) = _turn_2d(angles[:, axis]), [(1, 2), (2, 0), (0, 1)][axis]
        one = jnp.broadcast_to(jnp.eye(3)[None], (len(angles), 3, 3))
        for row, a in enumerate((i, j)):
            for column, b in enumerate((i, j)):
                one = one.at[:, a, b].set(flat[:, row, column])
        whole = one @ whole
    return whole
