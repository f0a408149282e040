"""Meshes as PLY files: vertices, colors and triangles."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_bytes

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDER = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_HEADER = 65536  # bytes within which a header ends
_COLORS = ("red", "green", "blue")


class PlyMesh(NamedTuple):
    """Content of a PLY file, in its units.

    Attributes:
      vertices: `[V, 3]`.
      faces: int `[F, 3]`; polygons are cut into triangles.
      colors: uint8 `[V, 3]`, or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None


class _Property(NamedTuple):
    name: str
    kind: str
    length: str = ""  # type of a list's length; empty for one value


class _Element(NamedTuple):
    name: str
    number: int
    properties: list[_Property]


def read_ply(path: Path) -> PlyMesh:
    """Reads a PLY file, ASCII or binary.

    Raises:
      InputError: the file is missing, no PLY file or damaged, or has no vertices.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    data = read_bytes(path, ANNOTATIONS)
    try:
        return _parsed(data)
    except InputError as error:
        raise InputError(f"{path} {error}.") from error
    except (ValueError, KeyError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is a damaged PLY file ({error}).") from error


def write_ply(path: Path, mesh: PlyMesh) -> None:
    """Writes a binary PLY file: float32 vertices, colors if there are any, and triangles."""
    fields = [(name, "<f4") for name in "xyz"]
    if mesh.colors is not None:
        fields += [(name, "u1") for name in _COLORS]
    rows = np.zeros(len(mesh.vertices), fields)
    for axis, name in enumerate("xyz"):
        rows[name] = mesh.vertices[:, axis]
    if mesh.colors is not None:
        for axis, name in enumerate(_COLORS):
            rows[name] = mesh.colors[:, axis]
    triangles = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, mesh.faces
    kinds = {"<f4": "float", "u1": "uchar"}
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(rows)}",
        *(f"property {kinds[kind]} {name}" for name, kind in fields),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    path.write_bytes("\n".join(header).encode() + b"\n" + rows.tobytes() + triangles.tobytes())


def _parsed(data: bytes) -> PlyMesh:
    if not data.startswith(b"ply"):
        raise InputError("is not a PLY file: it does not begin with 'ply'")
    end = data.find(b"end_header", 0, _HEADER)
    start = data.find(b"\n", end) + 1
    if end < 0 or not start:
        raise InputError("has no end of its header")
    order, elements = _header(data[:end].decode("ascii").splitlines())
    tables = (
        _ascii(data[start:], elements) if order == "=" else _binary(data[start:], elements, order)
    )
    rows = tables.get("vertex", {})
    if any(axis not in rows for axis in "xyz") or not len(rows["x"]):
        raise InputError("has no vertices")
    vertices = np.stack([np.asarray(rows[axis], np.float64) for axis in "xyz"], axis=1)
    if not np.isfinite(vertices).all():
        raise InputError("has vertices that are not finite")
    colors = None
    if all(name in rows for name in _COLORS):
        colors = np.stack([np.asarray(rows[name]) for name in _COLORS], axis=1)
        colors = np.clip(colors, 0, 255).astype(np.uint8)
    polygons = next(
        (v for k, v in tables.get("face", {}).items() if k in ("vertex_indices", "vertex_index")),
        [],
    )
    faces = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    triangles = np.array(faces, np.int64).reshape(-1, 3)
    if triangles.size and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise InputError("has faces of vertices that are not there")
    return PlyMesh(vertices, triangles, colors)


def _header(lines: list[str]) -> tuple[str, list[_Element]]:
    order, elements = "", []
    for line in lines[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format":
            order = _ORDER[words[1]]
        elif words[0] == "element":
            number = int(words[2])
            if number < 0:
                raise ValueError(f"{number} elements")
            elements.append(_Element(words[1], number, []))
        elif words[0] == "property" and words[1] == "list":
            elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
        elif words[0] == "property":
            elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
        else:
            raise ValueError(f"unknown line of the header: {line[:40]!r}")
    if not order:
        raise ValueError("no format")
    return order, elements


def _binary(data: bytes, elements: list[_Element], order: str) -> dict[str, dict[str, list]]:
    tables: dict[str, dict[str, list]] = {}
    place = 0
    for element in elements:
        if not any(each.length for each in element.properties):
            kind = np.dtype([(each.name, order + each.kind) for each in element.properties])
            size = kind.itemsize * element.number
            if len(data) < place + size:
                raise ValueError(f"it ends within {element.name!r}")
            rows = np.frombuffer(data, kind, element.number, place)
            place += size
            tables[element.name] = {each.name: list(rows[each.name]) for each in element.properties}
            continue
        columns: dict[str, list] = {each.name: [] for each in element.properties}
        for _ in range(element.number):
            for each in element.properties:
                count = 1
                if each.length:
                    count = int(np.frombuffer(data, order + each.length, 1, place)[0])
                    place += np.dtype(each.length).itemsize
                if count < 0 or len(data) < place + count * np.dtype(each.kind).itemsize:
                    raise ValueError(f"it ends within {element.name!r}")
                values = np.frombuffer(data, order + each.kind, count, place)
                place += values.nbytes
                columns[each.name].append(values if each.length else values[0])
        tables[element.name] = columns
    return tables


def _ascii(data: bytes, elements: list[_Element]) -> dict[str, dict[str, list]]:
    tables: dict[str, dict[str, list]] = {}
    lines = io.StringIO(data.decode("ascii"))
    for element in elements:
        columns: dict[str, list] = {each.name: [] for each in element.properties}
        for _ in range(element.number):
            words = lines.readline().split()
            if not words:
                raise ValueError(f"it ends within {element.name!r}")
            place = 0
            for each in element.properties:
                count = int(words[place]) if each.length else 1
                place += bool(each.length)
                values = np.array(words[place : place + count], np.float64)
                if len(values) != count:
                    raise ValueError(f"a line of {element.name!r} is too short")
                place += count
                columns[each.name].append(values.astype(np.int64) if each.length else values[0])
        tables[element.name] = columns
    return tables
