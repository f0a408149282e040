"""Gather in ONNX: as a slice, as one of ONNX's lookups along an axis, or by places."""

from typing import Any

import numpy as np

from jaxpose.export import onnx_places
from jaxpose.export.onnx_graph import Graph
from jaxpose.export.onnx_shapes import dtype_number, permuted, shaped, sliced


def gather(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Add a gather, by the fewest operations that it takes."""
    try:
        return _lookup(graph, equation, inputs)
    except NotImplementedError:
        return onnx_places.gather(graph, equation, inputs)


def _lookup(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Converts slices at known positions, a lookup along one axis, or `take_along_axis`.

    Indices must be in range: code that may exceed the range clips them first.

    Raises:
      NotImplementedError: it is another gather, which takes more operations.
    """
    numbers, sizes = (equation.params[name] for name in ("dimension_numbers", "slice_sizes"))
    operand, indices = (variable.aval for variable in equation.invars)
    x, where = inputs
    axes = list(numbers.start_index_map)
    if where in graph.constants and not numbers.operand_batching_dims:
        # A constant index is a plain slice.
        places = graph.constants[where].reshape(-1, len(axes))
        fixed = [i for i in range(len(axes)) if np.ptp(places[:, i]) == 0]
        if indices.ndim > 1 and len(fixed) == len(axes):
            fixed = fixed[1:]
        starts, cut = [0] * operand.ndim, list(operand.shape)
        for i in fixed:
            starts[axes[i]], cut[axes[i]] = int(places[0, i]), sizes[axes[i]]
        x = sliced(graph, x, operand.shape, starts, cut, (1,) * operand.ndim)
        if len(fixed) == len(axes):
            return shaped(graph, x, equation.outvars[0].aval.shape)
        left = [i for i in range(len(axes)) if i not in fixed]
        where = graph.constant(graph.constants[where][..., left])
        axes = [axes[i] for i in left]
    if len(axes) != 1:
        raise NotImplementedError("a gather along several axes")
    where = graph.add("Squeeze", where, graph.size(indices.ndim - 1))
    if numbers.operand_batching_dims:
        if any(size != 1 for size in sizes):
            return _slices_in_a_batch(graph, equation, x, where, axes[0])
        batched = (*numbers.operand_batching_dims, axes[0])
        # Axes of one element, which JAX takes as slices and not as a part of the batch.
        single = [i for i in range(operand.ndim) if i not in batched and operand.shape[i] == 1]
        if indices.ndim - 1 != operand.ndim - len(single):
            raise NotImplementedError("a gather of one element of each row")
        order = _order(numbers, operand.ndim - len(single), sum(i < axes[0] for i in batched))
        where = permuted(graph, where, order)
        along = graph.constant(np.asarray(single, np.int64))
        if single:
            where = graph.add("Unsqueeze", where, along)
        found = graph.add("GatherElements", x, where, axis=axes[0])
        if single:
            found = graph.add("Squeeze", found, along)
        found = permuted(graph, found, np.argsort(order).tolist())
        return shaped(graph, found, equation.outvars[0].aval.shape) if single else found
    found = graph.add("Gather", x, where, axis=axes[0])
    return _arranged(graph, equation, found, axes[0])


def _slices_in_a_batch(graph: Graph, equation: Any, x: str, where: str, axis: int) -> str:
    """Converts a lookup along one axis of each sample, of all that lies beside it."""
    numbers, sizes = (equation.params[name] for name in ("dimension_numbers", "slice_sizes"))
    operand, indices = (variable.aval for variable in equation.invars)
    batch, target = list(numbers.operand_batching_dims), equation.outvars[0].aval.shape
    beside = [i for i in range(operand.ndim) if i not in (*batch, axis)]
    if any(sizes[i] != operand.shape[i] for i in beside) or sizes[axis] != 1:
        raise NotImplementedError("a gather of parts of slices in a batch")
    ahead = list(numbers.start_indices_batching_dims)
    order = [*ahead, *(i for i in range(indices.ndim - 1) if i not in ahead)]
    where = graph.add("Unsqueeze", permuted(graph, where, order), graph.size(len(order)))
    where = graph.add("Cast", where, to=dtype_number(np.zeros((), np.int64)))
    x = graph.add(
        "GatherND", permuted(graph, x, [*batch, axis, *beside]), where, batch_dims=len(batch)
    )
    # Axes of the result: those of the indices, as ordered above, and those beside.
    places = iter(order.index(i) for i in range(len(order)))
    slices = [i for i in range(operand.ndim) if i not in (*batch, *numbers.collapsed_slice_dims)]
    offsets = iter(slices)
    result = [
        next(offsets) if i in numbers.offset_dims else -1 - next(places) for i in range(len(target))
    ]
    kept = [i for i in result if i != axis]
    x = permuted(graph, x, [-1 - i if i < 0 else len(order) + beside.index(i) for i in kept])
    return shaped(graph, x, target) if len(kept) < len(result) else x


def _arranged(graph: Graph, equation: Any, found: str, axis: int) -> str:
    """Moves the axes of ONNX's Gather, which puts the indices' axes at `axis`, to JAX's order."""
    numbers = equation.params["dimension_numbers"]
    operand, indices = (variable.aval for variable in equation.invars)
    target, count = equation.outvars[0].aval.shape, indices.ndim - 1
    place = {i: i if i < axis else i + count - 1 for i in range(operand.ndim) if i != axis}
    slices = iter([place[i] for i in place if i not in numbers.collapsed_slice_dims])
    gone = [place[i] for i in place if i in numbers.collapsed_slice_dims]
    ahead = iter(range(axis, axis + count))
    order = [next(slices if i in numbers.offset_dims else ahead) for i in range(len(target))]
    found = permuted(graph, found, [*order, *gone])
    return shaped(graph, found, target) if gone else found


def _order(numbers: Any, rank: int, axis: int) -> list[int]:
    """Axis of the indices for each axis of the operand, without axes of one element."""
    order = [0] * rank
    places = [i for i in range(rank) if i != axis]
    batch = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    for i, (_, source) in zip(places, sorted(batch), strict=False):
        order[i] = source
    left = [i for i in range(rank) if i not in numbers.start_indices_batching_dims]
    if len(left) != 1 or len(numbers.operand_batching_dims) != rank - 1:
        raise NotImplementedError("a gather that is no take_along_axis")
    order[axis] = left[0]
    return order
