"""ONNX equivalents of JAX operations: `OPERATIONS[primitive name](graph, equation, inputs)`.

Inputs and results are names of tensors. Equations come from `jaxpose.export.fold`, so there are no
calls or loops, and weights are constants.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxpose.export.onnx_graph import Graph

# An equation is a `JaxprEqn`; its variables' types have no attributes that mypy knows.
Lowering = Callable[[Graph, Any, list[str]], str | list[str]]

_END = np.iinfo(np.int64).max
_TRUE = np.array(True)


def _plain(kind: str, **attributes: Any) -> Lowering:
    return lambda graph, equation, inputs: graph.add(kind, *inputs, **attributes)


def _same(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return inputs[0]


def _dtype(aval: Any) -> int:
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(aval.dtype))


def _cast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Cast", inputs[0], to=_dtype(equation.outvars[0].aval))


def _one(graph: Graph, equation: Any) -> str:
    return graph.constant(np.ones((), equation.invars[0].aval.dtype))


def _erfc(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Sub", _one(graph, equation), graph.add("Erf", inputs[0]))


def _power(graph: Graph, equation: Any, inputs: list[str]) -> str:
    exponent = np.asarray(equation.params["y"], equation.invars[0].aval.dtype)
    return graph.add("Pow", inputs[0], graph.constant(exponent))


def _log1p(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Log", graph.add("Add", inputs[0], _one(graph, equation)))


def _different(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Not", graph.add("Equal", *inputs))


def _finite(graph: Graph, equation: Any, inputs: list[str]) -> str:
    odd = graph.add("Or", graph.add("IsNaN", inputs[0]), graph.add("IsInf", inputs[0]))
    return graph.add("Not", odd)


def _select(graph: Graph, equation: Any, inputs: list[str]) -> str:
    which, otherwise, chosen = inputs
    if equation.invars[0].aval.dtype != bool:
        which = graph.add("Cast", which, to=_dtype(np.zeros((), bool)))
    return graph.add("Where", which, chosen, otherwise)


def _clamp(graph: Graph, equation: Any, inputs: list[str]) -> str:
    low, x, high = inputs
    return graph.add("Min", graph.add("Max", x, low), high)


def _size(graph: Graph, equation: Any, inputs: list[str]) -> str:
    whole = graph.add("Squeeze", graph.size(equation.params["dim"]))
    return graph.add("Cast", whole, to=_dtype(equation.outvars[0].aval))


def _iota(graph: Graph, equation: Any, inputs: list[str]) -> str:
    aval, axis = equation.outvars[0].aval, equation.params["dimension"]
    zero, one = (graph.constant(np.asarray(value, np.int64)) for value in (0, 1))
    stop = graph.add("Squeeze", graph.size(aval.shape[axis]))
    line = graph.add("Cast", graph.add("Range", zero, stop, one), to=_dtype(aval))
    ones = [aval.shape[i] if i == axis else 1 for i in range(aval.ndim)]
    line = graph.add("Reshape", line, graph.shape(ones, infer=True))
    return graph.add("Expand", line, graph.shape(aval.shape)) if aval.ndim > 1 else line


def _reshape(graph: Graph, equation: Any, inputs: list[str]) -> str:
    shape = graph.shape(equation.outvars[0].aval.shape, infer=True)
    return graph.add("Reshape", inputs[0], shape)


def _broadcast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    source, target = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    spread: list[Any] = [1] * len(target)
    for size, axis in zip(source, equation.params["broadcast_dimensions"], strict=True):
        spread[axis] = size
    x = inputs[0]
    if tuple(spread) != tuple(source):
        x = graph.add("Reshape", x, graph.shape(spread, infer=True))
    return x if tuple(spread) == tuple(target) else graph.add("Expand", x, graph.shape(target))


def _transpose(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return _permuted(graph, inputs[0], equation.params["permutation"])


def _permuted(graph: Graph, x: str, order: Sequence[int]) -> str:
    order = [int(axis) for axis in order]
    if order == list(range(len(order))):
        return x
    if x in graph.constants:
        return graph.constant(graph.constants[x].transpose(order))
    return graph.add("Transpose", x, perm=order)


def _concatenate(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Concat", *inputs, axis=int(equation.params["dimension"]))


def _stack(graph: Graph, equation: Any, inputs: list[str]) -> str:
    axis = int(equation.params["axis"])
    along = graph.size(axis)
    return graph.add("Concat", *(graph.add("Unsqueeze", x, along) for x in inputs), axis=axis)


def _split(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    sizes = np.asarray(equation.params["sizes"], np.int64)
    axis = int(equation.params["axis"])
    return graph.add_several("Split", len(sizes), inputs[0], graph.constant(sizes), axis=axis)


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


def _slice(graph: Graph, equation: Any, inputs: list[str]) -> str:
    shape, of = equation.invars[0].aval.shape, equation.params
    starts, stops = of["start_indices"], of["limit_indices"]
    sizes = [stop - start for start, stop in zip(starts, stops, strict=True)]
    return sliced(graph, inputs[0], shape, starts, sizes, of["strides"] or (1,) * len(shape))


def _reverse(graph: Graph, equation: Any, inputs: list[str]) -> str:
    axes = np.asarray(equation.params["dimensions"], np.int64)
    last, end = np.full_like(axes, -1), np.full_like(axes, np.iinfo(np.int64).min)
    return graph.add("Slice", inputs[0], *map(graph.constant, (last, end, axes, last)))


def _pad(graph: Graph, equation: Any, inputs: list[str]) -> str:
    config = equation.params["padding_config"]
    if any(int(between) for *_, between in config):
        raise NotImplementedError("pad with zeros between")
    pads = [int(low) for low, *_ in config] + [int(high) for _, high, _ in config]
    return graph.add("Pad", inputs[0], graph.constant(np.asarray(pads, np.int64)), inputs[1])


def _reduce(kind: str) -> Lowering:
    def lower(graph: Graph, equation: Any, inputs: list[str]) -> str:
        axes = graph.constant(np.asarray(equation.params["axes"], np.int64))
        return graph.add(kind, inputs[0], axes, keepdims=0)

    return lower


def _arg(kind: str) -> Lowering:
    def lower(graph: Graph, equation: Any, inputs: list[str]) -> str:
        found = graph.add(kind, inputs[0], axis=int(equation.params["axes"][0]), keepdims=0)
        return graph.add("Cast", found, to=_dtype(equation.outvars[0].aval))

    return lower


def _any(graph: Graph, equation: Any, inputs: list[str]) -> str:
    axes = graph.constant(np.asarray(equation.params["axes"], np.int64))
    number = graph.add("Cast", inputs[0], to=_dtype(np.zeros((), np.int32)))
    return graph.add("Cast", graph.add("ReduceMax", number, axes, keepdims=0), to=_dtype(_TRUE))


def _highest(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return _pool(graph, equation, inputs, "MaxPool")


def _sum_of_windows(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Sum over windows of `[B, ..., C]`: their mean, with the zeros around, times their size."""
    mean = _pool(graph, equation, inputs, "AveragePool", count_include_pad=1)
    count = np.prod(equation.params["window_dimensions"])
    return graph.add("Mul", mean, graph.constant(count.astype(equation.invars[0].aval.dtype)))


def _pool(graph: Graph, equation: Any, inputs: list[str], kind: str, **attributes: Any) -> str:
    """Pooling over windows of any axes, which ONNX has behind two other axes."""
    of = equation.params
    window, strides, padding = (
        of[name] for name in ("window_dimensions", "window_strides", "padding")
    )
    shape, target = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    inner = [i for i, size in enumerate(window) if size != 1]
    outer = [i for i, size in enumerate(window) if size == 1]
    if any(strides[i] != 1 or tuple(padding[i]) != (0, 0) for i in outer):
        raise NotImplementedError("windows of one element with a stride or padding")
    order = [*outer, *inner]
    x = _permuted(graph, inputs[0], order)
    if len(outer) != 2:
        x = _shaped(graph, x, [_volume(shape[i] for i in outer), 1, *(shape[i] for i in inner)])
    x = graph.add(
        kind,
        x,
        kernel_shape=[int(window[i]) for i in inner],
        strides=[int(strides[i]) for i in inner],
        pads=[int(padding[i][side]) for side in (0, 1) for i in inner],
        **attributes,
    )
    if len(outer) != 2:
        x = _shaped(graph, x, [target[i] for i in order])
    return _permuted(graph, x, np.argsort(order).tolist())


def _sort(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    """Sorts by the first operand: TopK of everything, the first of equals first."""
    axis, keys = int(equation.params["dimension"]), equation.params["num_keys"]
    if keys != 1:
        raise NotImplementedError("a sort by several keys")
    count = graph.size(equation.invars[0].aval.shape[axis])
    first, where = graph.add_several("TopK", 2, inputs[0], count, axis=axis, largest=0)
    return [first, *(graph.add("GatherElements", x, where, axis=axis) for x in inputs[1:])]


def _product(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Converts any `dot_general` to a matrix product with the batch axes in front."""
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = (variable.aval.shape for variable in equation.invars)
    left_free = [i for i in range(len(left)) if i not in (*left_sum, *left_batch)]
    right_free = [i for i in range(len(right)) if i not in (*right_sum, *right_batch)]
    x = _permuted(graph, inputs[0], [*left_batch, *left_free, *left_sum])
    y = _permuted(graph, inputs[1], [*right_batch, *right_sum, *right_free])
    batch = [left[i] for i in left_batch]
    summed = _volume(left[i] for i in left_sum)
    columns = _volume(right[i] for i in right_free)
    rows = [left[i] for i in left_free]
    if batch:  # without one, a matrix product keeps all axes of the left side
        rows = [_volume(rows)]
    x = _shaped(graph, x, [*batch, *rows, summed])
    y = _shaped(graph, y, [*batch, summed, columns])
    product = graph.add("MatMul", x, y)
    whole = [*batch, *rows, columns]
    target = equation.outvars[0].aval.shape
    return product if whole == list(target) else _shaped(graph, product, target)


def _shaped(graph: Graph, x: str, shape: Sequence[Any]) -> str:
    if x in graph.constants:
        return graph.constant(graph.constants[x].reshape([int(size) for size in shape]))
    return graph.add("Reshape", x, graph.shape(shape, infer=True))


def _volume(sizes: Any) -> Any:
    total: Any = 1
    for size in sizes:
        total = total * size
    return total


def _convolution(graph: Graph, equation: Any, inputs: list[str]) -> str:
    of = equation.params
    layout = of["dimension_numbers"]
    if of["batch_group_count"] != 1 or any(step != 1 for step in of["lhs_dilation"]):
        raise NotImplementedError("a transposed or batch-grouped convolution")
    x = graph.add(
        "Conv",
        _permuted(graph, inputs[0], layout.lhs_spec),
        _permuted(graph, inputs[1], layout.rhs_spec),
        pads=[int(pair[side]) for side in (0, 1) for pair in of["padding"]],
        strides=[int(step) for step in of["window_strides"]],
        dilations=[int(step) for step in of["rhs_dilation"]],
        group=int(of["feature_group_count"]),
    )
    return _permuted(graph, x, np.argsort(layout.out_spec).tolist())


def _gather(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Converts slices at known positions, a lookup along one axis, or `take_along_axis`.

    Indices must be in range: code that may exceed the range clips them first.
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
            return _shaped(graph, x, equation.outvars[0].aval.shape)
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
        order = _order(numbers, operand.ndim - len(single), sum(i < axes[0] for i in batched))
        where = _permuted(graph, where, order)
        along = graph.constant(np.asarray(single, np.int64))
        if single:
            where = graph.add("Unsqueeze", where, along)
        found = graph.add("GatherElements", x, where, axis=axes[0])
        if single:
            found = graph.add("Squeeze", found, along)
        found = _permuted(graph, found, np.argsort(order).tolist())
        return _shaped(graph, found, equation.outvars[0].aval.shape) if single else found
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
    where = graph.add("Unsqueeze", _permuted(graph, where, order), graph.size(len(order)))
    where = graph.add("Cast", where, to=_dtype(np.zeros((), np.int64)))
    x = graph.add(
        "GatherND", _permuted(graph, x, [*batch, axis, *beside]), where, batch_dims=len(batch)
    )
    # Axes of the result: those of the indices, as ordered above, and those beside.
    places = iter(order.index(i) for i in range(len(order)))
    slices = [i for i in range(operand.ndim) if i not in (*batch, *numbers.collapsed_slice_dims)]
    offsets = iter(slices)
    result = [
        next(offsets) if i in numbers.offset_dims else -1 - next(places) for i in range(len(target))
    ]
    kept = [i for i in result if i != axis]
    x = _permuted(graph, x, [-1 - i if i < 0 else len(order) + beside.index(i) for i in kept])
    return _shaped(graph, x, target) if len(kept) < len(result) else x


def _top(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    count = graph.constant(np.asarray([equation.params["k"]], np.int64))
    axis = int(equation.params.get("axis", -1))
    values, where = graph.add_several("TopK", 2, inputs[0], count, axis=axis)
    return [values, graph.add("Cast", where, to=_dtype(equation.outvars[1].aval))]


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
    found = _permuted(graph, found, [*order, *gone])
    return _shaped(graph, found, target) if gone else found


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


OPERATIONS: dict[str, Lowering] = {
    "abs": _plain("Abs"),
    "add": _plain("Add"),
    "and": _plain("And"),
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "broadcast_in_dim": _broadcast,
    "ceil": _plain("Ceil"),
    "clamp": _clamp,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "convert_element_type": _cast,
    "copy": _same,
    "cos": _plain("Cos"),
    "dim_as_value": _size,
    "div": _plain("Div"),
    "dot_general": _product,
    "eq": _plain("Equal"),
    "erf": _plain("Erf"),
    "erfc": _erfc,
    "exp": _plain("Exp"),
    "floor": _plain("Floor"),
    "gather": _gather,
    "ge": _plain("GreaterOrEqual"),
    "gt": _plain("Greater"),
    "integer_pow": _power,
    "iota": _iota,
    "is_finite": _finite,
    "le": _plain("LessOrEqual"),
    "log": _plain("Log"),
    "log1p": _log1p,
    "logistic": _plain("Sigmoid"),
    "lt": _plain("Less"),
    "max": _plain("Max"),
    "min": _plain("Min"),
    "mul": _plain("Mul"),
    "ne": _different,
    "neg": _plain("Neg"),
    "not": _plain("Not"),
    "or": _plain("Or"),
    "pad": _pad,
    "pow": _plain("Pow"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_or": _any,
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_window_max": _highest,
    "reduce_window_sum": _sum_of_windows,
    "rem": _plain("Mod", fmod=1),
    "reshape": _reshape,
    "rev": _reverse,
    "round": _plain("Round"),
    "rsqrt": lambda graph, _, inputs: graph.add("Reciprocal", graph.add("Sqrt", inputs[0])),
    "select_n": _select,
    "sign": _plain("Sign"),
    "sin": _plain("Sin"),
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "sqrt": _plain("Sqrt"),
    "square": lambda graph, _, inputs: graph.add("Mul", inputs[0], inputs[0]),
    "squeeze": _reshape,
    "stack": _stack,
    "stop_gradient": _same,
    "sub": _plain("Sub"),
    "tanh": _plain("Tanh"),
    "top_k": _top,
    "transpose": _transpose,
}
