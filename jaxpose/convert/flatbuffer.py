"""Reading of flatbuffers: tables whose fields are found by offsets, and vectors; all checked.

A table starts with the distance to the list of its fields' places, so files of older and newer
schemas have the same form. See FlatBuffers, "FlatBuffer Internals".
"""

import struct

import numpy as np

# More tables in a list than any file here has; a damaged file may state billions.
_MOST = 100_000


class Damaged(Exception):
    """Number in a file that cannot be right."""


class Table:
    """Table of a flatbuffer: fields are read by their number, with a default for absent ones."""

    def __init__(self, data: memoryview, start: int) -> None:
        self._data, self._start = data, start
        self._fields = start - _unpack("<i", data, start)
        if self._fields < 0:
            raise Damaged("a table outside the file")
        self._size = _unpack("<H", data, self._fields)
        self.file_bytes = len(data)

    def scalar(self, number: int, form: str, default: int = 0) -> int:
        place = self._place(number)
        return default if place is None else _unpack(f"<{form}", self._data, place)

    def table(self, number: int) -> "Table | None":
        place = self._place(number)
        return None if place is None else Table(self._data, offset(self._data, place))

    def tables(self, number: int) -> list["Table"]:
        start, count = self._vector(number, 4)
        if count > _MOST:
            raise Damaged(f"a list of {count} tables")
        places = range(start, start + 4 * count, 4)
        return [Table(self._data, offset(self._data, place)) for place in places]

    def array(self, number: int, dtype: str) -> np.ndarray:
        """Vector of numbers, as a view of the file."""
        kind = np.dtype(dtype)
        start, count = self._vector(number, kind.itemsize)
        return np.frombuffer(self._data, kind, count, start) if count else np.zeros(0, kind)

    def text(self, number: int) -> str:
        return self.array(number, "u1").tobytes().decode("utf-8")

    def _vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        place = self._place(number)
        if place is None:
            return 0, 0
        start = offset(self._data, place)
        count = _unpack("<I", self._data, start)
        if start + 4 + count * item_bytes > len(self._data):
            raise Damaged("a list that is longer than the file")
        return start + 4, count

    def _place(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry + 2 > self._size:
            return None
        relative = _unpack("<H", self._data, self._fields + entry)
        return self._start + relative if relative else None


def _unpack(form: str, data: memoryview, place: int) -> int:
    if not 0 <= place <= len(data) - struct.calcsize(form):
        raise Damaged("an offset outside the file")
    return int(struct.unpack_from(form, data, place)[0])


def offset(data: memoryview, place: int) -> int:
    return place + _unpack("<I", data, place)
