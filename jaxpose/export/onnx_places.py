"""Gather, scatter and slices at positions known at run time in ONNX, by places of elements.

XLA's gather and scatter take and put slices at positions that are known when the program runs
(https://openxla.org/xla/operation_semantics). Each element of a slice has a place in the flattened
array; places outside the array are one beyond its end, where nothing is read or kept.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.export.onnx_graph import Graph
from jaxpose.export.onnx_shapes import volume


def gather(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Add a gather; by its mode, slices that leave the array are filled or moved into it."""
    numbers, sizes = (equation.params[name] for name in ("dimension_numbers", "slice_sizes"))
    operand, target = equation.invars[0].aval, equation.outvars[0].aval
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(operand.ndim) if axis not in gone]
    slices = dict(zip(kept, numbers.offset_dims, strict=True))
    place = _places(
        graph,
        equation,
        inputs[1],
        target.shape,
        slices,
        [sizes[axis] for axis in range(operand.ndim)],
        list(numbers.start_index_map),
        (numbers.operand_batching_dims, numbers.start_indices_batching_dims),
    )
    flat = _with_end(graph, inputs[0], operand, equation.params["fill_value"])
    found = graph.add("Gather", flat, place, axis=0)
    return graph.add("Reshape", found, graph.shape(target.shape, infer=True))


def scatter(graph: Graph, equation: Any, inputs: list[str], reduction: str = "none") -> str:
    """Add a scatter; by its mode, slices that leave the array are left out or moved into it.

    Args:
      reduction: "none" puts values, "add" adds them to those that are there.
    """
    numbers = equation.params["dimension_numbers"]
    operand, _, updates = (variable.aval for variable in equation.invars)
    gone = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(operand.ndim) if axis not in gone]
    slices = dict(zip(kept, numbers.update_window_dims, strict=True))
    place = _places(
        graph,
        equation,
        inputs[1],
        updates.shape,
        slices,
        [updates.shape[slices[axis]] if axis in slices else 1 for axis in range(operand.ndim)],
        list(numbers.scatter_dims_to_operand_dims),
        (numbers.operand_batching_dims, numbers.scatter_indices_batching_dims),
    )
    flat = _with_end(graph, inputs[0], operand, None)
    values = graph.add("Reshape", inputs[2], graph.size(-1))
    made = graph.add("ScatterElements", flat, place, values, axis=0, reduction=reduction)
    kept_part = graph.add("Slice", made, graph.size(0), graph.size(volume(operand.shape)))
    return graph.add("Reshape", kept_part, graph.shape(operand.shape, infer=True))


def scatter_add(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Add a scatter that adds values to those that are there."""
    return scatter(graph, equation, inputs, "add")


def slice_at(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Add a slice whose start is known when the program runs, and is moved into the array."""
    shape, sizes = equation.invars[0].aval.shape, equation.params["slice_sizes"]
    starts = []
    for start, whole, size in zip(inputs[1:], shape, sizes, strict=True):
        start = graph.add("Reshape", _whole_number(graph, start), graph.size(1))
        last = graph.add("Sub", graph.size(whole), graph.size(size))
        starts.append(graph.add("Max", graph.add("Min", start, last), graph.size(0)))
    begin = graph.add("Concat", *starts, axis=0)
    return graph.add("Slice", inputs[0], begin, graph.add("Add", begin, graph.shape(sizes)))


def _places(
    graph: Graph,
    equation: Any,
    where: str,
    shape: Sequence[Any],
    slices: dict[int, int],
    sizes: list[Any],
    moved: list[int],
    batch: tuple[Sequence[int], Sequence[int]],
) -> str:
    """Places int64 `[N]` of all elements of slices, in the flattened operand.

    Args:
      where: positions of the slices.
      shape: of the array of all slices.
      slices: axis of that array for each axis of the operand that slices have.
      sizes: of a slice, along each axis of the operand.
      moved: axis of the operand of each number of a position.
      batch: axes that operand and positions have in common, of both.
    """
    moves = "CLIP" in str(equation.params["mode"])
    operand, indices = (variable.aval for variable in equation.invars[:2])
    rank = len(shape)
    ahead = [axis for axis in range(rank) if axis not in slices.values()]
    coordinates: dict[int, list[str]] = {axis: [] for axis in range(operand.ndim)}
    for axis, along in slices.items():
        coordinates[axis].append(_line(graph, shape[along], along, rank))
    for axis, of_positions in zip(*batch, strict=True):
        along = ahead[int(of_positions)]
        coordinates[int(axis)].append(_line(graph, shape[along], along, rank))
    where = _whole_number(graph, where)
    inside = None
    spread = [shape[axis] if axis in ahead else 1 for axis in range(rank)]
    for number, axis in enumerate(moved):
        part = graph.constant(np.asarray(number, np.int64))
        start = graph.add("Gather", where, part, axis=indices.ndim - 1)
        start = graph.add("Reshape", start, graph.shape(spread, infer=True))
        last = graph.add("Sub", graph.size(operand.shape[axis]), graph.size(sizes[axis]))
        if moves:
            start = graph.add("Max", graph.add("Min", start, last), graph.size(0))
            coordinates[int(axis)].append(start)
            continue
        fits = graph.add(
            "And",
            graph.add("GreaterOrEqual", start, graph.size(0)),
            graph.add("LessOrEqual", start, last),
        )
        inside = fits if inside is None else graph.add("And", inside, fits)
        coordinates[int(axis)].append(start)
    place = graph.size(0)
    for axis, terms in coordinates.items():
        step = graph.size(volume(operand.shape[axis + 1 :]))
        for term in terms:
            place = graph.add("Add", place, graph.add("Mul", term, step))
    if inside is not None:
        place = graph.add("Where", inside, place, graph.size(volume(operand.shape)))
    place = graph.add("Expand", place, graph.shape(shape))
    return graph.add("Reshape", place, graph.size(-1))


def _line(graph: Graph, size: Any, axis: int, rank: int) -> str:
    """Numbers from 0, int64, along one of `rank` axes."""
    zero, one = (graph.constant(np.asarray(value, np.int64)) for value in (0, 1))
    line = graph.add("Range", zero, graph.add("Squeeze", graph.size(size)), one)
    return graph.add("Reshape", line, graph.shape([-1 if i == axis else 1 for i in range(rank)]))


def _whole_number(graph: Graph, x: str) -> str:
    from onnx import TensorProto

    return graph.add("Cast", x, to=TensorProto.INT64)


def _with_end(graph: Graph, x: str, aval: Any, fill: Any) -> str:
    """Flatten an array, with one element more: `fill`, or what JAX fills with."""
    dtype = np.dtype(aval.dtype)
    if fill is None:
        # As `jax.lax.gather` says: the largest number of unsigned types, the smallest of signed.
        kinds = {"f": np.nan, "b": True}
        fill = kinds.get(dtype.kind)
        if fill is None:
            info = np.iinfo(dtype)
            fill = info.max if dtype.kind == "u" else info.min
    flat = graph.add("Reshape", x, graph.size(-1))
    return graph.add("Concat", flat, graph.constant(np.full(1, fill, dtype)), axis=0)
