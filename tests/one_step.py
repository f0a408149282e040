"""One training step of a backbone: what it computes, and that it reaches all of the network."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Step(NamedTuple):
    """Loss against maps of a half, outputs, running statistics after, and gradients."""

    loss: jax.Array
    outputs: jax.Array
    statistics: Any
    gradients: Any


def one_step(model: nn.Module, variables: Any, images: jax.Array) -> Step:
    """Forward and backward in training, compiled."""

    @jax.jit
    def run(params: Any) -> Any:
        def loss(params: Any) -> Any:
            y, updated = model.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            return jnp.square(y.astype(jnp.float32) - 0.5).mean(), (
                y,
                updated.get("batch_stats", {}),  # there are none without norms
            )

        return jax.value_and_grad(loss, has_aux=True)(params)

    (loss, (outputs, statistics)), gradients = run(variables["params"])
    return Step(loss, outputs, statistics, gradients)


def assert_reaches_everything(step: Step, variables: Any) -> None:
    """Every parameter has a gradient and every statistic moved, all of them finite."""
    assert np.isfinite(step.loss)
    for path, gradient in jax.tree_util.tree_leaves_with_path(step.gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path
    before = jax.tree_util.tree_leaves_with_path(variables["batch_stats"])
    for (path, old), new in zip(before, jax.tree.leaves(step.statistics), strict=True):
        assert np.isfinite(new).all(), path
        assert not np.allclose(old, new, rtol=1e-9, atol=1e-9), path
