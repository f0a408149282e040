"""What a model costs, from its trace: nothing is allocated and nothing runs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.scaling.flops import jaxpr_multiply_adds


class Cost(NamedTuple):
    """Size of a model and work of one forward pass.

    Attributes:
      parameters: trainable values.
      multiply_adds: of one image or window, without flip test (see `scaling.flops`).
    """

    parameters: int
    multiply_adds: int


def cost(model: Any, input_hw: tuple[int, int] | None) -> Cost:
    """The cost of `model` for one image `[1, *input_hw, 3]`, or for a lifter's one window."""

    def init(key: jax.Array, images: jax.Array) -> tuple[Any, Any]:
        # Initialisation runs the forward pass once, so one trace gives both figures.
        return model.init_with_output(key, images)

    shape = (1, *input_hw, 3) if input_hw else model.input_shape()
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    traced, (_, variables) = jax.make_jaxpr(init, return_shape=True)(jax.random.key(0), images)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return Cost(parameters, jaxpr_multiply_adds(traced.jaxpr))
