"""ONNX exporter: converts JAX's own program; onnxruntime runs it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from jaxpose.errors import InputError
from jaxpose.export.fold import folded
from jaxpose.export.onnx_graph import OPSET, Graph
from jaxpose.export.onnx_ops import OPERATIONS
from jaxpose.export.program import Program, needed

SUFFIX = ".onnx"


def write(program: Program, path: Path) -> None:
    """Writes one file with the weights in it, for opset 18 (onnxruntime 1.14 and later).

    Raises:
      InputError: the package onnx is absent, the model uses an operation that is not supported, or
        its weights are 2 GiB or more.
    """
    program.check_size("ONNX")
    onnx = needed("onnx")
    traced = jax.make_jaxpr(folded(program.ordered, portable=True))(*program.arguments())
    graph = Graph()
    made = _lower(graph, traced, program)
    for name, value in zip(made, program.outputs, strict=True):
        graph.nodes.append(onnx.helper.make_node("Identity", [name], [value.name]))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "jaxpose",
            [_described(onnx, value) for value in program.inputs],
            [_described(onnx, value) for value in program.outputs],
            [onnx.numpy_helper.from_array(array, n) for n, array in graph.used()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=9,
        producer_name="jaxpose",
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def start(path: Path, names: Sequence[str]) -> Callable[..., dict[str, np.ndarray]]:
    """Loads the file in onnxruntime on the CPU: arrays in the order of `names` -> named arrays."""
    runtime = needed("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [value.name for value in session.get_outputs()]

    def run(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        found = session.run(outputs, dict(zip(names, arrays, strict=True)))
        return dict(zip(outputs, found, strict=True))

    return run


_OTHERS = "stablehlo or savedmodel"


def _lower(graph: Graph, traced: jex.ClosedJaxpr, program: Program) -> list[str]:
    """Adds a traced program to the graph; returns the names of its results."""
    for variable, value in zip(traced.jaxpr.invars, program.inputs, strict=True):
        graph.enter(value.name, variable.aval.shape)
    return _apply(graph, traced, [value.name for value in program.inputs])


def _apply(graph: Graph, traced: jex.ClosedJaxpr, inputs: Sequence[str]) -> list[str]:
    """Adds the operations of a traced function of `inputs`; returns the names of its results."""
    names: dict[Any, str] = dict(zip(traced.jaxpr.invars, inputs, strict=True))
    for variable, array in zip(traced.jaxpr.constvars, traced.consts, strict=True):
        names[variable] = graph.constant(array)

    def read(atom: Any) -> str:
        if isinstance(atom, jex.Literal):
            aval: Any = atom.aval
            return graph.constant(np.asarray(atom.val, aval.dtype))
        return names[atom]

    for equation in traced.jaxpr.eqns:
        name = equation.primitive.name
        operands = [read(atom) for atom in equation.invars]
        if name == "while":
            names.update(zip(equation.outvars, _loop(graph, equation, operands), strict=True))
            continue
        if name not in OPERATIONS:
            raise _unwritten(repr(name))
        try:
            made = OPERATIONS[name](graph, equation, operands)
        except NotImplementedError as error:
            raise _unwritten(str(error)) from error
        results = [made] if isinstance(made, str) else made
        names.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in traced.jaxpr.outvars]


def _loop(graph: Graph, equation: Any, operands: list[str]) -> list[str]:
    """Adds a `while` as ONNX's Loop, whose body also computes whether to go on."""
    of = equation.params
    tested, used = of["cond_nconsts"], of["body_nconsts"]
    split = tested + used
    test, advance = (jex.jaxpr_as_fun(of[name]) for name in ("cond_jaxpr", "body_jaxpr"))

    def more(*values: Any) -> Any:
        """Condition of the loop; under `vmap`, one for each sample."""
        return test(*values[:tested], *values[split:])[0]

    def proceed(*values: Any) -> list[Any]:
        state = values[split:]
        made, going = advance(*values[tested:split], *state), more(*values)
        if going.ndim == 0:
            return list(made)
        # Samples that have ended wait for the others.
        shapes = [(*going.shape, *(1,) * (old.ndim - going.ndim)) for old in state]
        return [
            jax.numpy.where(going.reshape(shape), new, old)
            for shape, new, old in zip(shapes, made, state, strict=True)
        ]

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars]
    condition, body = (
        jax.make_jaxpr(folded(function, portable=True))(*shapes)
        for function in (lambda *values: more(*values).any(), proceed)
    )
    consts, state = operands[:split], operands[split:]
    (begin,) = _apply(graph, condition, operands)
    with graph.body() as nodes:
        inside = [graph.name() for _ in state]
        after = _apply(graph, body, [*consts, *inside])
        (again,) = _apply(graph, condition, [*consts, *after])
        # An output of a body is neither one of its inputs nor another output.
        results = [graph.add("Identity", name) for name in (again, *after)]
    types = [variable.aval for variable in equation.outvars]
    return graph.loop(begin, state, inside, results, types, nodes)


def _unwritten(what: str) -> InputError:
    return InputError(
        f"this model uses {what}, which the ONNX export does not support; export {_OTHERS} instead"
    )


def _described(onnx: Any, value: Any) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return onnx.helper.make_tensor_value_info(value.name, kind, list(value.shape))
