"""Shapes of ONNX tensors: views and slices of them, whose sizes may be symbolic."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.export.onnx_graph import Graph

_END = np.iinfo(np.int64).max


def dtype_number(aval: Any) -> int:
    """ONNX's number of a data type."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(aval.dtype))


def permuted(graph: Graph, x: str, order: Sequence[int]) -> str:
    """Add a transposition, or transpose a constant."""
    order = [int(axis) for axis in order]
    if order == list(range(len(order))):
        return x
    if x in graph.constants:
        return graph.constant(graph.constants[x].transpose(order))
    return graph.add("Transpose", x, perm=order)


def shaped(graph: Graph, x: str, shape: Sequence[Any]) -> str:
    """Add a change of shape, or change that of a constant."""
    if x in graph.constants:
        return graph.constant(graph.constants[x].reshape([int(size) for size in shape]))
    return graph.add("Reshape", x, graph.shape(shape, infer=True))


def volume(sizes: Any) -> Any:
    """Product of sizes, 1 for none."""
    total: Any = 1
    for size in sizes:
        total = total * size
    return total


def sliced(
    graph: Graph, x: str, shape: Sequence[Any], starts: Any, sizes: Sequence[Any], steps: Any
) -> str:
    """Slices `x` from `starts` over `sizes` pixels with `steps`; whole axes may be symbolic."""
    axes = [i for i in range(len(shape)) if sizes[i] is not shape[i] and sizes[i] != shape[i]]
    axes = [i for i in range(len(shape)) if i in axes or steps[i] != 1]
    if not axes:
        return x

    def of(values: Any) -> str:
        return graph.constant(np.asarray([int(values[i]) for i in axes], np.int64))

    stops = {i: int(starts[i]) + int(sizes[i]) if sizes[i] != shape[i] else _END for i in axes}
    return graph.add("Slice", x, of(starts), of(stops), of(range(len(shape))), of(steps))
