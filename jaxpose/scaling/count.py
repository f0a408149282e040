"""Cost of a model from its trace, without allocating or running anything."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.scaling.flops import jaxpr_multiply_adds


class Cost(NamedTuple):
    """Size of a model and work of one forward pass.

    Attributes:
      parameters: number of trainable values.
      multiply_adds: for one image or window, without flip test (see `scaling.flops`).
    """

    parameters: int
    multiply_adds: int


def cost(model: Any, input_hw: tuple[int, int] | None) -> Cost:
    """Cost of `model` for one image `[1, *input_hw, 3]`, or of a lifter for one window."""

    def init(key: jax.Array, images: jax.Array) -> tuple[Any, Any]:
        # Initialisation includes one forward pass, so one trace gives both figures.
        return model.init_with_output(key, images)

    shape = (1, *input_hw, 3) if input_hw else model.input_shape()
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    traced, (_, variables) = jax.make_jaxpr(init, return_shape=True)(jax.random.key(0), images)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Cost(parameters, jaxpr_multiply_adds(traced.jaxpr))
