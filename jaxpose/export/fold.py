"""Constant folding: computes once what depends only on the weights, and not in every call.

Converters to other formats fold constants slowly, element by element in Python (minutes and
gigabytes for a ViT), and loops and calls hide weights from their fusions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax.core import Tracer

from jaxpose.jax_versions import bind

# A constant that is cheaper to compute than to store, such as a map of zeros, stays an operation.
_LARGEST_GROWTH = 1 << 16


def folded(function: Callable, *, portable: bool = False) -> Callable:
    """Equivalent function for exporters to trace, with constants folded.

    Operations on constants are computed, loops of known length are unrolled, and functions that
    only carry a derivative or a name are replaced by their bodies. With `portable`, code for one of
    XLA's platforms is replaced by the general one.
    """

    def traced(*arguments: jax.Array) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat = jax.tree.leaves(arguments)
        results = _evaluate(closed.jaxpr, closed.consts, flat, portable)
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return traced


def _evaluate(
    jaxpr: jex.Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], portable: bool
) -> list[Any]:
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jex.Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars], portable)
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, operands: list[Any], portable: bool) -> list[Any]:
    """Results of one operation."""
    body = _body(equation)
    if body is not None:
        return _evaluate(body.jaxpr, body.consts, operands, portable)
    if equation.primitive.name == "scan":
        return _scan(equation, operands, portable)
    if portable and equation.primitive.name == "platform_index":
        platforms = equation.params["platforms"]
        return [np.int32(platforms.index(None) if None in platforms else 0)]
    if equation.primitive.name == "cond" and isinstance(operands[0], np.integer):
        branch = equation.params["branches"][operands[0]]
        return _evaluate(branch.jaxpr, branch.consts, operands[1:], portable)
    if _is_constant(equation, operands):
        with jax.ensure_compile_time_eval():
            return bind(equation, operands)
    return bind(equation, operands)


def _body(equation: Any) -> jex.ClosedJaxpr | None:
    """Jaxpr that a call equation runs; None for any other equation."""
    if equation.primitive.name not in (
        *("jit", "pjit", "closed_call", "remat2", "checkpoint", "custom_jvp_call"),
        *("custom_vjp_call", "custom_vjp_call_jaxpr"),
    ):
        return None
    body = next(
        equation.params[name]
        for name in ("call_jaxpr", "jaxpr", "fun_jaxpr")
        if name in equation.params
    )
    return body if isinstance(body, jex.ClosedJaxpr) else jex.ClosedJaxpr(body, ())


def _scan(equation: Any, operands: list[Any], portable: bool) -> list[Any]:
    of = equation.params
    fixed, carried = of["num_consts"], of["num_consts"] + of["num_carry"]
    constants, carry, slices = operands[:fixed], operands[fixed:carried], operands[carried:]
    steps = range(of["length"])
    outputs: list[list[Any]] = []
    for step in reversed(steps) if of["reverse"] else steps:
        here = [_index(array, step) for array in slices]
        arguments = [*constants, *carry, *here]
        results = _evaluate(of["jaxpr"].jaxpr, of["jaxpr"].consts, arguments, portable)
        carry = results[: of["num_carry"]]
        outputs.append(results[of["num_carry"] :])
    if of["reverse"]:
        outputs.reverse()
    return [*carry, *(jax.numpy.stack(column) for column in zip(*outputs, strict=True))]


def _index(array: Any, step: int) -> Any:
    if isinstance(array, Tracer):
        return array[step]
    with jax.ensure_compile_time_eval():
        return array[step]


def _is_constant(equation: Any, operands: list[Any]) -> bool:
    """True if the results are known numbers and worth storing."""
    if equation.effects or any(isinstance(operand, Tracer) for operand in operands):
        return False
    if equation.primitive.name in ("dim_as_value", "platform_index"):
        return False  # known only when the export runs
    shapes = [variable.aval.shape for variable in equation.outvars]
    if not all(isinstance(size, int) for shape in shapes for size in shape):
        return False
    made = sum(variable.aval.size for variable in equation.outvars)
    return made <= sum(np.size(operand) for operand in operands) + _LARGEST_GROWTH
