"""A writer of small TFLite files: tables, vectors and text of a flatbuffer, parents first."""

import struct
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Table:
    """Fields by number: ("I", 3) for a number, an array, text, a table or a list of tables."""

    fields: dict = field(default_factory=dict)


def write(root: Table, identifier: bytes = b"TFL3") -> bytes:
    data = bytearray(8)
    data[4:8] = identifier
    _point(data, 0, root)
    return bytes(data)


def _point(data: bytearray, place: int, value) -> None:
    """Append `value` and write its offset at `place`."""
    while len(data) % 8:
        data.append(0)
    start = _table(data, value) if isinstance(value, Table) else _vector(data, value)
    struct.pack_into("<I", data, place, start - place)


def _vector(data: bytearray, value) -> int:
    if isinstance(value, str):
        value = np.frombuffer(value.encode(), np.uint8)
    data += b"\0" * ((-4 - len(data)) % 8)
    start = len(data)
    data += struct.pack("<I", len(value))
    if isinstance(value, list):
        places = range(len(data), len(data) + 4 * len(value), 4)
        data += bytes(4 * len(value))
        for place, table in zip(places, value, strict=True):
            _point(data, place, table)
    else:
        data += value.tobytes()
    return start


def _table(data: bytearray, table: Table) -> int:
    count = max(table.fields, default=-1) + 1
    sizes = {
        n: struct.calcsize(v[0]) if isinstance(v, tuple) else 4 for n, v in table.fields.items()
    }
    offsets, end = [0] * count, 4
    for n, size in sizes.items():
        end += -end % size
        offsets[n], end = end, end + size
    fields = struct.pack(f"<HH{count}H", 4 + 2 * count, end, *offsets)
    fields += bytes(-(len(data) + len(fields)) % 8)
    start = len(data) + len(fields)
    data += fields + struct.pack("<i", len(fields)) + bytes(end - 4)
    for n, value in table.fields.items():
        if isinstance(value, tuple):
            struct.pack_into(f"<{value[0]}", data, start + offsets[n], value[1])
        else:
            _point(data, start + offsets[n], value)
    return start


KINDS = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int8": 9}


def model(tensors: list[dict], operators: list[tuple]) -> bytes:
    """A TFLite file.

    Args:
      tensors: `name`, `array` (None for one that is computed) and, where needed, `shape`,
        `quantisation` (scales, zero points, axis) and `sparsity` (a table).
      operators: (number or name of the operator, inputs, outputs).
    """
    buffers, tables = [Table()], []
    for tensor in tensors:
        array = tensor["array"]
        fields = {3: tensor["name"]}
        if array is not None:
            fields[2] = ("I", len(buffers))
            fields[1] = ("b", KINDS[array.dtype.name])
            buffers.append(Table({0: np.frombuffer(array.tobytes(), np.uint8)}))
        fields[0] = np.asarray(tensor.get("shape", np.shape(array)), "<i4")
        if "quantisation" in tensor:
            scales, zeros, axis = tensor["quantisation"]
            fields[4] = Table(
                {2: np.asarray(scales, "<f4"), 3: np.asarray(zeros, "<i8"), 6: ("i", axis)}
            )
        if "sparsity" in tensor:
            fields[6] = tensor["sparsity"]
        tables.append(Table(fields))
    codes = [
        Table({0: ("b", 32), 1: code}) if isinstance(code, str) else Table({3: ("i", code)})
        for code, _, _ in operators
    ]
    ops = [
        Table({0: ("I", i), 1: np.asarray(inputs, "<i4"), 2: np.asarray(outputs, "<i4")})
        for i, (_, inputs, outputs) in enumerate(operators)
    ]
    graph = Table({0: tables, 1: np.array([0], "<i4"), 2: np.array([1], "<i4"), 3: ops})
    return write(Table({0: ("I", 3), 1: codes, 2: [graph], 4: buffers}))
