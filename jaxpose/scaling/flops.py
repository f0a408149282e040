"""Multiply-adds of a computation, counted from its trace without running it.

The counting convention is that of the field's tables: one multiply-add is one, and only matrix
multiplications and convolutions count (norms, activations, additions and softmax do not).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from jaxpose.errors import InputError


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Multiply-adds of `function(*arguments)`.

    A loop of fixed length counts its body as often as it runs; of the branches of a condition the
    most expensive counts. Taps of a convolution that fall on padding count, as they do in the
    published tables.

    Args:
      function: traceable by JAX.
      arguments: arrays, or `jax.ShapeDtypeStruct`s in their place.

    Raises:
      InputError: if a loop's number of rounds is not known before it runs.
    """
    return jaxpr_multiply_adds(jax.make_jaxpr(function)(*arguments).jaxpr)


def jaxpr_multiply_adds(jaxpr: core.Jaxpr) -> int:
    """`multiply_adds` of what has been traced already."""
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: core.JaxprEqn) -> int:
    name, parameters = equation.primitive.name, equation.params
    if name in ("dot_general", "conv_general_dilated"):
        left, right, out = (
            x.aval.shape  # type: ignore[attr-defined]  # operands of both are arrays
            for x in (*equation.invars[:2], equation.outvars[0])
        )
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            return math.prod(out) * math.prod(left[axis] for axis in contracted)
        kernel_out = parameters["dimension_numbers"].rhs_spec[0]
        taps = math.prod(right) // right[kernel_out]  # area x input channels of a group
        # Zeros between the values of a dilated input are multiplied by nobody sensible.
        return math.prod(out) * taps // math.prod(parameters["lhs_dilation"])
    bodies = [jaxpr_multiply_adds(body) for body in core.jaxprs_in_params(parameters)]
    if name == "while" and any(bodies):
        raise InputError("The number of rounds of a while loop cannot be known from its trace.")
    if name == "cond":
        return max(bodies, default=0)
    return sum(bodies) * parameters["length"] if name == "scan" else sum(bodies)
