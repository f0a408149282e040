"""Frozen graphs of TensorFlow 1: constants by name, and files that are damaged."""

import numpy as np
import pytest

from jaxpose.convert.reading import load_state_dict
from jaxpose.errors import InputError


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def constant(name, array, content=True):
    kinds = {"float32": 1, "int32": 3, "float16": 19}
    shape = b"".join(field(2, field(1, size)) for size in array.shape)
    values = field(4, array.tobytes()) if content else field(5, array.ravel()[:1].tobytes())
    tensor = field(1, kinds[array.dtype.name]) + field(2, shape) + values
    attribute = field(1, b"value") + field(2, field(8, tensor))
    return field(1, field(1, name.encode()) + field(2, b"Const") + field(5, attribute))


ARRAYS = {
    "a/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "b": np.array([1, -2, 3], np.int32),
    "half": np.array([0.5, 2], np.float16),
}


def graph():
    image = field(1, field(1, b"image") + field(2, b"Placeholder"))
    return image + b"".join(constant(name, array) for name, array in ARRAYS.items())


def test_constants_are_read_by_name(tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(graph() + constant("same", np.ones((2, 5), np.float32), content=False))
    found = load_state_dict(path)
    assert set(found) == {*ARRAYS, "same"}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert found["half"].dtype == np.float32 and found["same"].tolist() == [[1] * 5] * 2


@pytest.mark.parametrize(
    "content",
    [
        graph()[:-3],
        field(1, field(1, b"image")),
        b"\xff" * 40,
        field(1, field(1, 5)),
        graph() + constant("x", ARRAYS["b"]).replace(field(1, 3), field(1, 9)),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"graph\.pb"):
        load_state_dict(path)
