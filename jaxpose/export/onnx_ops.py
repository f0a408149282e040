"""ONNX equivalents of JAX operations: `OPERATIONS[primitive name](graph, equation, inputs)`.

Inputs and results are names of tensors. Equations come from `jaxpose.export.fold`, so there are no
calls or loops, and weights are constants.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxpose.export import onnx_places
from jaxpose.export.onnx_gather import gather
from jaxpose.export.onnx_graph import Graph
from jaxpose.export.onnx_shapes import dtype_number, permuted, shaped, sliced, volume

# An equation is a `JaxprEqn`; its variables' types have no attributes that mypy knows.
Lowering = Callable[[Graph, Any, list[str]], str | list[str]]

_TRUE, _INTEGER = np.array(True), np.zeros((), np.int32)


def _plain(kind: str, **attributes: Any) -> Lowering:
    return lambda graph, equation, inputs: graph.add(kind, *inputs, **attributes)


def _same(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return inputs[0]


def _cast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Cast", inputs[0], to=dtype_number(equation.outvars[0].aval))


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
        which = graph.add("Cast", which, to=dtype_number(np.zeros((), bool)))
    if equation.outvars[0].aval.dtype == bool:  # which onnxruntime's Where does not take
        yes = graph.add("And", which, chosen)
        return graph.add("Or", yes, graph.add("And", graph.add("Not", which), otherwise))
    return graph.add("Where", which, chosen, otherwise)


def _clamp(graph: Graph, equation: Any, inputs: list[str]) -> str:
    low, x, high = inputs
    return graph.add("Min", graph.add("Max", x, low), high)


def _size(graph: Graph, equation: Any, inputs: list[str]) -> str:
    whole = graph.add("Squeeze", graph.size(equation.params["dim"]))
    return graph.add("Cast", whole, to=dtype_number(equation.outvars[0].aval))


def _iota(graph: Graph, equation: Any, inputs: list[str]) -> str:
    aval, axis = equation.outvars[0].aval, equation.params["dimension"]
    zero, one = (graph.constant(np.asarray(value, np.int64)) for value in (0, 1))
    stop = graph.add("Squeeze", graph.size(aval.shape[axis]))
    line = graph.add("Cast", graph.add("Range", zero, stop, one), to=dtype_number(aval))
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
    return permuted(graph, inputs[0], equation.params["permutation"])


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
        x, aval = inputs[0], equation.invars[0].aval
        if aval.dtype == bool:  # which ArgMax does not take
            x = graph.add("Cast", x, to=dtype_number(_INTEGER))
        found = graph.add(kind, x, axis=int(equation.params["axes"][0]), keepdims=0)
        return graph.add("Cast", found, to=dtype_number(equation.outvars[0].aval))

    return lower


def _any(graph: Graph, equation: Any, inputs: list[str]) -> str:
    axes = graph.constant(np.asarray(equation.params["axes"], np.int64))
    number = graph.add("Cast", inputs[0], to=dtype_number(_INTEGER))
    return graph.add(
        "Cast", graph.add("ReduceMax", number, axes, keepdims=0), to=dtype_number(_TRUE)
    )


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
    x = permuted(graph, inputs[0], order)
    if len(outer) != 2:
        x = shaped(graph, x, [volume(shape[i] for i in outer), 1, *(shape[i] for i in inner)])
    x = graph.add(
        kind,
        x,
        kernel_shape=[int(window[i]) for i in inner],
        strides=[int(strides[i]) for i in inner],
        pads=[int(padding[i][side]) for side in (0, 1) for i in inner],
        **attributes,
    )
    if len(outer) != 2:
        x = shaped(graph, x, [target[i] for i in order])
    return permuted(graph, x, np.argsort(order).tolist())


def _sort(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    """Sorts by the first operand: TopK of everything, the first of equals first."""
    axis, keys = int(equation.params["dimension"]), equation.params["num_keys"]
    if keys != 1:
        raise NotImplementedError("a sort by several keys")
    count = graph.size(equation.invars[0].aval.shape[axis])
    key, aval = inputs[0], equation.invars[0].aval
    if aval.dtype == bool:  # which TopK does not take
        key = graph.add("Cast", key, to=dtype_number(_INTEGER))
    first, where = graph.add_several("TopK", 2, key, count, axis=axis, largest=0)
    if aval.dtype == bool:
        first = graph.add("Cast", first, to=dtype_number(_TRUE))
    return [first, *(graph.add("GatherElements", x, where, axis=axis) for x in inputs[1:])]


def _product(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Converts any `dot_general` to a matrix product with the batch axes in front."""
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = (variable.aval.shape for variable in equation.invars)
    left_free = [i for i in range(len(left)) if i not in (*left_sum, *left_batch)]
    right_free = [i for i in range(len(right)) if i not in (*right_sum, *right_batch)]
    x = permuted(graph, inputs[0], [*left_batch, *left_free, *left_sum])
    y = permuted(graph, inputs[1], [*right_batch, *right_sum, *right_free])
    batch = [left[i] for i in left_batch]
    summed = volume(left[i] for i in left_sum)
    columns = volume(right[i] for i in right_free)
    rows = [left[i] for i in left_free]
    if batch:  # without one, a matrix product keeps all axes of the left side
        rows = [volume(rows)]
    x = shaped(graph, x, [*batch, *rows, summed])
    y = shaped(graph, y, [*batch, summed, columns])
    product = graph.add("MatMul", x, y)
    whole = [*batch, *rows, columns]
    target = equation.outvars[0].aval.shape
    return product if whole == list(target) else shaped(graph, product, target)


def _running_sum(graph: Graph, equation: Any, inputs: list[str]) -> str:
    of = equation.params
    axis = graph.constant(np.asarray(of["axis"], np.int64))
    return graph.add("CumSum", inputs[0], axis, reverse=int(of["reverse"]))


def _convolution(graph: Graph, equation: Any, inputs: list[str]) -> str:
    of = equation.params
    layout = of["dimension_numbers"]
    if of["batch_group_count"] != 1 or any(step != 1 for step in of["lhs_dilation"]):
        raise NotImplementedError("a transposed or batch-grouped convolution")
    x = graph.add(
        "Conv",
        permuted(graph, inputs[0], layout.lhs_spec),
        permuted(graph, inputs[1], layout.rhs_spec),
        pads=[int(pair[side]) for side in (0, 1) for pair in of["padding"]],
        strides=[int(step) for step in of["window_strides"]],
        dilations=[int(step) for step in of["rhs_dilation"]],
        group=int(of["feature_group_count"]),
    )
    return permuted(graph, x, np.argsort(layout.out_spec).tolist())


def _top(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    count = graph.constant(np.asarray([equation.params["k"]], np.int64))
    axis = int(equation.params.get("axis", -1))
    values, where = graph.add_several("TopK", 2, inputs[0], count, axis=axis)
    return [values, graph.add("Cast", where, to=dtype_number(equation.outvars[1].aval))]


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
    "cumsum": _running_sum,
    "dim_as_value": _size,
    "div": _plain("Div"),
    "dot_general": _product,
    "dynamic_slice": onnx_places.slice_at,
    "eq": _plain("Equal"),
    "erf": _plain("Erf"),
    "erfc": _erfc,
    "exp": _plain("Exp"),
    "floor": _plain("Floor"),
    "gather": gather,
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
    "scatter": onnx_places.scatter,
    "scatter-add": onnx_places.scatter_add,
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
