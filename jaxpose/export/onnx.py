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
    names: dict[Any, str] = {}
    for variable, value in zip(traced.jaxpr.invars, program.inputs, strict=True):
        names[variable] = value.name
        graph.enter(value.name, variable.aval.shape)
    for variable, array in zip(traced.jaxpr.constvars, traced.consts, strict=True):
        names[variable] = graph.constant(array)

    def read(atom: Any) -> str:
        if isinstance(atom, jex.Literal):
            aval: Any = atom.aval
            return graph.constant(np.asarray(atom.val, aval.dtype))
        return names[atom]

    for equation in traced.jaxpr.eqns:
        name = equation.primitive.name
        if name not in OPERATIONS:
            raise _unwritten(repr(name))
        try:
            made = OPERATIONS[name](graph, equation, [read(atom) for atom in equation.invars])
        except NotImplementedError as error:
            raise _unwritten(str(error)) from error
        results = [made] if isinstance(made, str) else made
        names.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in traced.jaxpr.outvars]


def _unwritten(what: str) -> InputError:
    return InputError(
        f"this model uses {what}, which the ONNX export does not support; export {_OTHERS} instead"
    )


def _described(onnx: Any, value: Any) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return onnx.helper.make_tensor_value_info(value.name, kind, list(value.shape))
