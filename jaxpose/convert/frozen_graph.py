"""Reading of TensorFlow 1's frozen graphs (`.pb`): the constants, which are the weights.

A graph is a protobuf message (tensorflow/core/framework/graph.proto). No operator is run, and only
the fields for names, types, shapes and values of constants are read.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import read_bytes

_MOST_BYTES = 4 * 2**30
# Types of tensor.proto that a constant may have here; others have no weights.
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
# Fields of lists of values, and the type of their items; -1 for varints.
_LISTS = {5: "<f4", 6: "<f8", 7: "", 10: ""}
_MOST_AXES = 8


class _Damaged(Exception):
    """Number in a file that cannot be right."""


def read_frozen_graph(path: Path) -> dict[str, np.ndarray]:
    """Read the constants of a graph as `{name: array}`, floats as float32.

    Raises:
      InputError: the file is no graph, or is damaged.
    """
    arrays: dict[str, np.ndarray] = {}
    data = memoryview(read_bytes(path, _MOST_BYTES))
    try:
        nodes = [value for field, value in _fields(data) if field == 1]
        for node in nodes:
            name, array = _constant(_message(node))
            if array is not None:
                arrays[name] = array
    except (_Damaged, UnicodeDecodeError, ValueError, struct.error) as error:
        raise InputError(
            f"{path} is not an intact frozen graph of TensorFlow ({error}). Download it again."
        ) from error
    if not arrays:
        raise InputError(
            f"{path} has no constants: it is no frozen graph of TensorFlow. A graph whose weights "
            "are in other files has to be frozen first."
        )
    return arrays


def _constant(node: memoryview) -> tuple[str, np.ndarray | None]:
    """Name of a node, and its value if it is a constant of numbers."""
    name, operator, tensor = "", "", None
    for field, value in _fields(node):
        if field == 1:
            name = str(_message(value), "utf-8")
        elif field == 2:
            operator = str(_message(value), "utf-8")
        elif field == 5:
            entry = dict(_fields(_message(value)))
            if bytes(_message(entry.get(1, memoryview(b"")))) == b"value" and 2 in entry:
                tensor = dict(_fields(_message(entry[2]))).get(8)
    if operator != "Const" or tensor is None:
        return name, None
    return name, _tensor(_message(tensor))


def _tensor(message: memoryview) -> np.ndarray | None:
    shape: tuple[int, ...] = ()
    kind, content = 0, b""
    listed: list[np.ndarray] = []
    for field, value in _fields(message):
        if field == 1:
            kind = _number(value)
        elif field == 2:
            shape = _shape(_message(value))
        elif field == 4:
            content = bytes(_message(value))
        elif field in _LISTS:
            listed.append(_list(field, value))
    if kind not in _TYPES:
        return None
    count = math.prod(shape)
    if content:
        values = np.frombuffer(content, _TYPES[kind])
    else:
        values = np.concatenate(listed) if listed else np.zeros(0)
        if len(values) == 1 and count > 1 and count * 4 <= _MOST_BYTES:
            values = np.broadcast_to(values, count)  # one value stands for all
    if len(values) != count:
        raise _Damaged(f"{len(values)} values for the shape {list(shape)}")
    floating = _TYPES[kind][1] == "f"
    return values.reshape(shape).astype(np.float32 if floating else np.int64)


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for field, value in _fields(message):
        if field == 2:
            sizes.append(_number(dict(_fields(_message(value))).get(1, 0)))
    if len(sizes) > _MOST_AXES or any(size >= 2**31 for size in sizes):
        raise _Damaged(f"a shape of {len(sizes)} axes")
    return tuple(sizes)


def _list(field: int, value: "int | memoryview") -> np.ndarray:
    kind = _LISTS[field]
    if isinstance(value, int):
        return np.array([value])
    if kind:
        return np.frombuffer(value, kind)
    numbers, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        numbers.append(number - 2**64 if number >= 2**63 else number)
    return np.array(numbers, np.int64)


def _fields(data: memoryview) -> Iterator[tuple[int, "int | memoryview"]]:
    """Number and value of each field of a message: an integer, or bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, place = _varint(data, place)
            yield field, number
            continue
        if wire == 2:
            size, place = _varint(data, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Damaged(f"a field of the kind {wire}")
        if place + size > len(data):
            raise _Damaged("a field that is longer than the file")
        yield field, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise _Damaged("it ends within a number")
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise _Damaged("a number of more than ten bytes")


def _message(value: "int | memoryview") -> memoryview:
    if isinstance(value, int):
        raise _Damaged("a number in place of a message")
    return value


def _number(value: "int | memoryview") -> int:
    if not isinstance(value, int):
        raise _Damaged("a message in place of a number")
    return value
