"""Reading of the weights in TensorFlow Lite files (`.tflite`) without TensorFlow.

A file is a flatbuffer with the fields of TensorFlow's `schema.fbs`, version 3. Only sizes, names
and numbers are read; nothing in a file is run.
"""

import math
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxpose.convert.flatbuffer import Damaged, Table, offset
from jaxpose.errors import InputError

_IDENTIFIER = b"TFL3"
_AGAIN = "Download or write it again."
_MOST_DIMENSIONS = 8
# Numbers of all constants for each byte of a file: several tensors may share a buffer, and sparse
# arrays have zeros that are not stored, but a small file must not fill the memory.
_MOST_NUMBERS = 10

_DTYPES: dict[int, np.dtype] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    2: np.dtype("<i4"),
    3: np.dtype("u1"),
    4: np.dtype("<i8"),
    6: np.dtype("?"),
    7: np.dtype("<i2"),
    9: np.dtype("i1"),
    10: np.dtype("<f8"),
}
# Names by number, up to the newest operator in the files of these models.
_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY
"""
_OPERATORS = _NAMES.split()
_CUSTOM = _OPERATORS.index("CUSTOM")

# Inputs of each operator that are weights, and the last part of their keys.
_WEIGHTS = {
    "CONV_2D": {1: "kernel", 2: "bias"},
    "DEPTHWISE_CONV_2D": {1: "kernel", 2: "bias"},
    "FULLY_CONNECTED": {1: "kernel", 2: "bias"},
    "PRELU": {1: "alpha"},
}
# Operators of the networks in `jaxpose.models` without weights. Their constants are paddings,
# shapes and axes, which the modules of these networks have as code.
_PLAIN = frozenset(
    (
        *("ADD", "CONCATENATION", "DENSIFY", "DEPTH_TO_SPACE", "DEQUANTIZE", "LOGISTIC"),
        *("MAX_POOL_2D", "MEAN", "PAD", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR"),
        "STRIDED_SLICE",
    )
)
# Operation at the end of a kernel's name, such as `model/conv2d_3/Conv2D1_dequantize`. A converter
# that fuses layers joins several names by semicolons; the layer of the kernel is the first with
# the name of an operation of its kind.
_LAYER = {
    "CONV_2D": r"(?:.*/)?(?P<layer>[^/]+)/(?:Conv2D|Kernel)\d*(?:_dequantize)?",
    "DEPTHWISE_CONV_2D": r"(?:.*/)?(?P<layer>[^/]+)/(?:depthwise|Kernel)\d*(?:_dequantize)?",
    "FULLY_CONNECTED": r"(?:.*/)?(?P<layer>[^/]+)/(?:MatMul|Kernel)\d*(?:_dequantize)?",
    "PRELU": r"(?:.*/)?(?P<layer>p_re_lu[^/]*)/.+",
}


@dataclass(frozen=True)
class TFLiteTensor:
    """Tensor of a graph.

    Attributes:
      name: name in the file.
      shape: sizes; -1 where the file leaves one open.
      constant: numbers of a constant, float32 for floats and quantised numbers; None otherwise.
    """

    name: str
    shape: tuple[int, ...]
    constant: np.ndarray | None


@dataclass(frozen=True)
class TFLiteOperator:
    """Operator of a graph, with the numbers of its tensors; -1 is an input that is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class TFLiteGraph:
    """First graph of a file, in the order of execution.

    Attributes:
      tensors: all tensors.
      operators: all operators.
      inputs, outputs: numbers of the graph's own inputs and outputs.
    """

    tensors: tuple[TFLiteTensor, ...]
    operators: tuple[TFLiteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def constants(self) -> dict[str, np.ndarray]:
        """All constants by the names in the file."""
        return {t.name: t.constant for t in self.tensors if t.constant is not None}


def read_tflite(path: Path) -> dict[str, np.ndarray]:
    """Read the weights of a file as `{key: array}`, in the order of execution.

    Keys are `LAYER/kernel`, `LAYER/bias` and `LAYER/alpha` (of a PReLU), with the layer's name from
    the name of the kernel: names of biases differ between converters, which fold batch norms into
    them, and several layers may share one bias of zeros. Kernels keep the layouts of the file:
    `[out, h, w, in]`, `[1, h, w, C]` for depthwise ones and `[out, in]` for dense layers. Floats of
    16 bits become float32; integers with a scale (int8, uint8, int16, int32) are dequantised by
    their scales and zero points. Paddings, shapes and axes are left out.

    Raises:
      InputError: as for `read_graph`; the file has an operator that no model of this library has;
        two layers have one name; weights are not constants.
    """
    return _weights(read_graph(path), path)


def _weights(graph: TFLiteGraph, path: Path) -> dict[str, np.ndarray]:
    unknown = Counter(
        op.name for op in graph.operators if op.name not in _PLAIN and op.name not in _WEIGHTS
    )
    if unknown:
        raise InputError(
            f"{path} contains the operator {', '.join(unknown)}, which no model of this library "
            "has: its weights cannot be converted. `jaxpose models` lists the models."
        )
    sources = _through_dequantize(graph)
    weights: dict[str, np.ndarray] = {}
    for op in graph.operators:
        layer = ""
        for place, part in _WEIGHTS.get(op.name, {}).items():
            if place >= len(op.inputs) or op.inputs[place] < 0:
                continue  # a layer without a bias
            tensor = graph.tensors[sources[op.inputs[place]]]
            if tensor.constant is None:
                raise InputError(f"{path}: the weights {tensor.name} of {op.name} are no constant.")
            layer = layer or _layer(op.name, tensor.name)
            key = f"{layer}/{part}"
            if key in weights:
                raise InputError(f"{path} has two layers with the name {layer}.")
            weights[key] = tensor.constant
    return weights


def read_graph(path: Path) -> TFLiteGraph:
    """Read the tensors and operators of the first graph of a file.

    Raises:
      InputError: the file is no TFLite file or is damaged; it has a constant of an unsupported
        type, or integers of 8 bits without a scale.
    """
    data = path.read_bytes()
    if data[4:8] != _IDENTIFIER:
        raise InputError(f"{path} is not an intact TFLite file (no mark {_IDENTIFIER.decode()}).")
    try:
        return _graph(Table(memoryview(data), offset(memoryview(data), 0)), path)
    except (struct.error, Damaged, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not an intact TFLite file ({error}). {_AGAIN}") from error


def _graph(model: Table, path: Path) -> TFLiteGraph:
    graphs = model.tables(2)
    if not graphs:
        raise Damaged("no graph")
    buffers = model.tables(4)
    codes = [_operator_name(code) for code in model.tables(1)]
    listed = graphs[0].tables(0)
    if sum(_size(table, buffers) for table in listed) > _MOST_NUMBERS * model.file_bytes:
        raise Damaged("more numbers than its size allows")
    tensors = tuple(_tensor(table, buffers, path) for table in listed)
    operators = []
    for table in graphs[0].tables(3):
        index = table.scalar(0, "I")
        if index >= len(codes):
            raise Damaged("an operator without a code")
        inputs, outputs = table.array(1, "<i4"), table.array(2, "<i4")
        operators.append(
            TFLiteOperator(
                codes[index], _numbers(inputs, len(tensors)), _numbers(outputs, len(tensors))
            )
        )
    inputs, outputs = graphs[0].array(1, "<i4"), graphs[0].array(2, "<i4")
    return TFLiteGraph(
        tensors,
        tuple(operators),
        _numbers(inputs, len(tensors)),
        _numbers(outputs, len(tensors)),
    )


def _numbers(array: np.ndarray, count: int) -> tuple[int, ...]:
    if len(array) and (array.min() < -1 or array.max() >= count):
        raise Damaged("the number of a tensor that does not exist")
    return tuple(array.tolist())


def _operator_name(code: Table) -> str:
    # Files before 2020 have the first field only, later ones both.
    number = max(code.scalar(0, "b"), code.scalar(3, "i"))
    if number == _CUSTOM:
        return code.text(1) or "CUSTOM"
    return _OPERATORS[number] if 0 <= number < len(_OPERATORS) else f"number {number}"


def _size(table: Table, buffers: list[Table]) -> int:
    """Number of values of a constant; 0 for a tensor that is computed."""
    number = table.scalar(2, "I")
    constant = number < len(buffers) and len(buffers[number].array(0, "u1"))
    return math.prod(map(abs, table.array(0, "<i4").tolist())) if constant else 0


def _tensor(table: Table, buffers: list[Table], path: Path) -> TFLiteTensor:
    shape, name = tuple(table.array(0, "<i4").tolist()), table.text(3)
    number = table.scalar(2, "I")
    if number >= len(buffers) or len(shape) > _MOST_DIMENSIONS:
        raise Damaged(f"tensor {name}")
    raw = buffers[number].array(0, "u1")
    if not len(raw):
        return TFLiteTensor(name, shape, None)
    kind = table.scalar(1, "b")
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise InputError(f"{path}: the constant {name} has the unsupported type number {kind}.")
    if min(shape, default=0) < 0:
        raise Damaged(f"tensor {name} has the shape {list(shape)}")
    sparsity = table.table(6)
    size = math.prod(shape) * dtype.itemsize
    if size != len(raw) and (sparsity is None or len(raw) % dtype.itemsize):
        raise Damaged(f"tensor {name} has {len(raw)} bytes for the shape {list(shape)}")
    numbers = np.frombuffer(raw, dtype)
    constant = numbers.reshape(shape) if sparsity is None else _dense(numbers, shape, sparsity)
    return TFLiteTensor(name, shape, _as_floats(constant, table.table(4), name, path))


def _dense(values: np.ndarray, shape: tuple[int, ...], sparsity: Table) -> np.ndarray:
    """Dense array of sparse values: nested dimensions, each dense or compressed (CSR), no blocks.

    A dimension with blocks is refused as damaged, since no known file has any.
    """
    order = tuple(sparsity.array(0, "<i4").tolist())
    levels = sparsity.tables(2)
    if sorted(order) != list(range(len(shape))) or len(levels) != len(shape):
        raise Damaged("sparse weights in blocks, or with other dimensions than their shape")
    # Position of each entry along the dimensions so far, and its number among all entries.
    places, numbers = np.zeros((1, 0), np.int64), np.zeros(1, np.int64)
    for level, dimension in zip(levels, order, strict=True):
        size = shape[dimension]
        if level.scalar(0, "b") == 0:
            counts = np.full(len(places), size)
            indices = np.tile(np.arange(size), len(places))
            numbers = (numbers[:, None] * size + np.arange(size)[None]).ravel()
        else:
            segments, listed = _list_of(level, 2), _list_of(level, 4)
            if len(segments) <= numbers.max(initial=0):
                raise Damaged("sparse weights with too few segments")
            starts, ends = segments[numbers], segments[numbers + 1]
            counts = ends - starts
            if (counts < 0).any() or ends.max(initial=0) > len(listed):
                raise Damaged("sparse weights with wrong segments")
            numbers = np.repeat(starts - np.cumsum(counts) + counts, counts)
            numbers = numbers + np.arange(len(numbers))
            indices = listed[numbers]
        if len(numbers) > math.prod(shape) or indices.max(initial=0) >= size:
            raise Damaged("sparse weights outside their shape")
        places = np.concatenate([np.repeat(places, counts, axis=0), indices[:, None]], axis=1)
    if numbers.max(initial=-1) >= len(values):
        raise Damaged("sparse weights with too few values")
    dense = np.zeros(shape, values.dtype)
    inverse = np.argsort(order)
    dense[tuple(places[:, i] for i in inverse)] = values[numbers]
    return dense


def _list_of(level: Table, number: int) -> np.ndarray:
    """List of a compressed dimension; field `number` has its type, the next one the list."""
    dtype = {1: "<i4", 2: "<u2", 3: "u1"}.get(level.scalar(number, "B"))
    table = level.table(number + 1)
    if dtype is None or table is None:
        raise Damaged("sparse weights without their places")
    found = table.array(0, dtype).astype(np.int64)
    if found.min(initial=0) < 0:
        raise Damaged("sparse weights with a negative place")
    return found


def _as_floats(
    constant: np.ndarray, quantisation: Table | None, name: str, path: Path
) -> np.ndarray:
    """Floats as float32; integers with scales dequantised, and others unchanged."""
    if constant.dtype.kind == "f":
        return constant.astype(np.float32)
    scales = np.zeros(0) if quantisation is None else quantisation.array(2, "<f4")
    if quantisation is None or not len(scales):
        if constant.dtype.itemsize == 1 and constant.dtype.kind != "b":
            raise InputError(
                f"{path}: the constant {name} has integers of 8 bits without a scale, so its "
                "numbers are not known. Use the file with weights of 16 or 32 bits."
            )
        return constant
    zeros = quantisation.array(3, "<i8")
    axis = quantisation.scalar(6, "i")
    if len(scales) == 1:
        shape: tuple[int, ...] = (1,) * constant.ndim
    elif 0 <= axis < constant.ndim and constant.shape[axis] == len(scales):
        shape = tuple(-1 if i == axis else 1 for i in range(constant.ndim))
    else:
        raise Damaged(f"{len(scales)} scales for the tensor {name}")
    if len(zeros) not in (0, len(scales)):
        raise Damaged(f"{len(zeros)} zero points for the tensor {name}")
    centred = constant - zeros.reshape(shape) if len(zeros) else constant
    return np.asarray(centred * scales.reshape(shape), np.float32)


def _through_dequantize(graph: TFLiteGraph) -> list[int]:
    """Constant that each tensor is: DEQUANTIZE widens its input, DENSIFY fills in zeros."""
    sources = list(range(len(graph.tensors)))
    for op in graph.operators:
        if op.name in ("DEQUANTIZE", "DENSIFY") and len(op.inputs) == len(op.outputs) == 1:
            if min(*op.inputs, *op.outputs) < 0:
                continue
            sources[op.outputs[0]] = sources[op.inputs[0]]
    return sources


def _layer(operator: str, name: str) -> str:
    """Name of the layer of an operator from the name of its kernel."""
    for part in name.split(";"):
        if found := re.fullmatch(_LAYER[operator], part):
            return found["layer"]
    return name
