"""Reading of TensorFlow.js models: `model.json` and the weight files beside it.

Both kinds are read, graph models and layers models (Keras). Only the listed arrays are: no operator
of the graph is run. The format is described with the code of tfjs-core, `io_utils.ts`.
"""

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.download.shards import group_paths, read_tfjs_json
from jaxpose.errors import InputError

# Types of the format, as they are stored: little-endian.
_TYPES = {"float32": "<f4", "int32": "<i4", "bool": "|u1"}
# Types of arrays that were made smaller. The last two need a scale and a minimum.
_QUANTISED = {"float16": "<f2", "uint8": "|u1", "uint16": "<u2"}
# A graph that was frozen by other tools has constants with numbers in place of names.
_ANONYMOUS = r"Const(_\d+)?"


def read_tfjs(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a TensorFlow.js model as `{name: array}`, floats as float32.

    Arrays that are stored as float16 become float32. Those that are stored as uint8 or uint16 are
    dequantised as in TensorFlow.js, value * scale + min, with a warning: they are approximations.
    A constant without a proper name, such as `Const_12`, is called `NODE:i` after the first
    node of the graph that has it as its input i.

    Raises:
      InputError: the file is no TensorFlow.js model; a weight file is absent, has another size than
        the arrays need, or is outside the folder; an array has an unknown type.
    """
    content = read_tfjs_json(path)
    if content is None:
        raise InputError(
            f"{path} is not a TensorFlow.js model: it must be a JSON file with a weightsManifest. "
            "A release is given as its folder."
        )
    arrays: dict[str, np.ndarray] = {}
    approximate = 0
    for group in content["weightsManifest"]:
        data = b"".join(_shard(path, name) for name in group_paths(group, path))
        files = ", ".join(group["paths"])
        place = 0
        weights = group.get("weights", [])
        if not isinstance(weights, list):
            raise InputError(f"{path} has no list of arrays in its weightsManifest.")
        for entry in weights:
            name, shape, stored, scale = _entry(entry, path)
            size = math.prod(shape) * stored.itemsize
            if place + size > len(data):
                raise InputError(
                    f"{files} beside {path} is incomplete: it has {len(data):,} bytes, and the "
                    f"array {name} ends at {place + size:,}. Download it again."
                )
            if name in arrays:
                raise InputError(f"{path} lists the array {name} twice.")
            values = np.frombuffer(data, stored, math.prod(shape), place).reshape(shape)
            arrays[name] = _decoded(values, entry, scale)
            approximate += scale is not None
            place += size
        if place != len(data):
            raise InputError(
                f"{files} beside {path} belongs to another model: it has {len(data):,} bytes, and "
                f"the arrays need {place:,}."
            )
    if approximate:
        warnings.warn(
            f"{approximate} of the {len(arrays)} arrays of {path.name} are stored in 8 or 16 bits "
            "and were dequantised (value * scale + min): they are approximations of the weights.",
            stacklevel=2,
        )
    return _named(arrays, content)


def _shard(path: Path, name: str) -> bytes:
    try:
        return (path.parent / name).read_bytes()
    except (OSError, ValueError) as error:  # a name that no file system takes
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise InputError(
            f"The weight file {name} of {path} cannot be read ({why}). A TensorFlow.js "
            "model consists of the JSON file and all weight files that it lists, in one folder."
        ) from error


def _entry(entry: Any, path: Path) -> tuple[str, list[int], np.dtype, tuple[float, float] | None]:
    """Name, shape, stored type, and scale and minimum (None for none) of an array."""
    fields = entry if isinstance(entry, dict) else {}
    name, shape, kind = (fields.get(key) for key in ("name", "shape", "dtype"))
    whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not isinstance(name, str) or not whole:
        raise InputError(f"{path} has an array without a name or a shape in its weightsManifest.")
    quantised = fields.get("quantization")
    stored = kind if quantised is None else _field(quantised, "dtype")
    types = _TYPES if quantised is None else _QUANTISED
    if str(kind) not in _TYPES or str(stored) not in types:
        raise InputError(
            f"{path}: the array {name} has the type {stored!r}, which is not read here; the types "
            f"are {', '.join(_TYPES)}, and for smaller files {', '.join(_QUANTISED)}."
        )
    scale = None
    if quantised is not None and stored != "float16":
        numbers = [_field(quantised, key) for key in ("scale", "min")]
        if not all(isinstance(number, int | float) for number in numbers):
            raise InputError(f"{path}: the array {name} is {stored} without a scale and a min.")
        scale = (float(numbers[0]), float(numbers[1]))
    return name, list(shape or []), np.dtype(types[str(stored)]), scale


def _field(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, dict) else None


def _decoded(
    values: np.ndarray, entry: Mapping[str, Any], scale: tuple[float, float] | None
) -> np.ndarray:
    """Array in its own type. TensorFlow.js computes in float64 and stores float32."""
    wide = values.astype(np.float64) * scale[0] + scale[1] if scale else values
    if entry["dtype"] == "int32":
        return np.round(wide).astype(np.int32)
    return wide.astype(bool if entry["dtype"] == "bool" else np.float32)


def _named(arrays: dict[str, np.ndarray], content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays with anonymous constants under the names of the nodes that use them."""
    users: dict[str, str] = {}
    nodes = _field(content.get("modelTopology"), "node")
    for node in nodes if isinstance(nodes, list) else []:
        inputs = _field(node, "input")
        for place, source in enumerate(inputs if isinstance(inputs, list) else []):
            users.setdefault(str(source), f"{_field(node, 'name')}:{place}")
    return {
        users.get(name, name) if re.fullmatch(_ANONYMOUS, name) else name: array
        for name, array in arrays.items()
    }
