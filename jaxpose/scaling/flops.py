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
from jaxpose.jax_versions import inner_jaxprs


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Counts the multiply-adds of `function(*arguments)`.

    The body of a loop of fixed length is counted once per iteration; of the branches of a condition
    the most expensive is counted, of those of a platform the default. Taps of a convolution on
    padding are counted, as in the published tables.

    Args:
      function: traceable by JAX.
      arguments: arrays, or `jax.ShapeDtypeStruct`s in their place.

    Raises:
      InputError: the number of iterations of a loop is not known before it runs.
    """
    return jaxpr_multiply_adds(jax.make_jaxpr(function)(*arguments).jaxpr)


def jaxpr_multiply_adds(jaxpr: core.Jaxpr) -> int:
    """Counts the multiply-adds of a traced computation."""
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
        # Zeros between the values of a dilated input are skipped by any sensible implementation.
        return math.prod(out) * taps // math.prod(parameters["lhs_dilation"])
    bodies = [jaxpr_multiply_adds(body) for body in inner_jaxprs(parameters)]
    if name == "while" and any(bodies):
        raise InputError("The number of iterations of a while loop is not known from its trace.")
    if name == "cond":
        return max(bodies, default=0)
    return sum(bodies) * parameters["length"] if name == "scan" else sum(bodies)
