"""Reading of the weights in OpenVINO's intermediate representation: a graph in XML, data beside it.

The format: docs.openvino.ai, "Operation sets" and "Model representation", IR version 10 and 11.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.xml_text import parse_xml

# Element types that are weights, and those that are axes, shapes and other arguments of layers.
_FLOATS = {"f16": "<f2", "f32": "<f4", "f64": "<f8", "bf16": "<u2"}
_ARGUMENTS = {"i32": 4, "i64": 8, "u32": 4, "u64": 8, "boolean": 1}
_QUANTISED = ("i4", "u4", "i8", "u8", "nf4", "u1", "u2", "u3", "u6", "f8e4m3", "f8e5m2", "f4e2m1")
_SIZES = {**{name: np.dtype(code).itemsize for name, code in _FLOATS.items()}, **_ARGUMENTS}
# Names that OpenVINO or ONNX gave a layer without one: its type and a number.
_GENERATED = re.compile(r"[A-Za-z0-9_]*")
# Constants may share bytes, but a small file must not fill the memory.
_MOST_SHARED = 16


@dataclass
class _Layer:
    """Layer of the graph; `inputs` are the ids of the layers that it reads, by port."""

    name: str
    kind: str
    data: dict[str, str] = field(default_factory=dict)
    fused: str = ""
    inputs: dict[int, str] = field(default_factory=dict)

    @property
    def original(self) -> str:
        """Name from the framework that the model was built in; empty if there is none.

        A layer that replaces several ones has the names of all of them; the first in alphabetical
        order is taken.
        """
        names = [self.name, *re.split(r",\s*", self.fused)]
        return min((name for name in names if not _GENERATED.fullmatch(name)), default="")


def read_openvino(path: Path) -> dict[str, np.ndarray]:
    """Read the floating-point constants of `NAME.xml` from `NAME.bin`, by name, as float32.

    Nothing is executed. A constant with a name of the framework in which the model was built keeps
    it. OpenVINO merges some constants, such as those of a batch norm and the convolution before it,
    and numbers the result; such a constant is called by the layer that uses it and the type of that
    layer, `batch_norm2d_0.b_0/Convolution`, so that the name does not depend on the conversion.
    Arrays have the shapes of the file: kernels `[out, in, h, w]`, or `[groups, out, in, h, w]`.
    Integers are axes, shapes and other arguments of layers; they are checked but not returned.

    Raises:
      InputError: a file does not exist, is damaged, is not in this format, or is quantised to
        integers; the two files do not belong together.
    """
    layers = _read_graph(path)
    for layer in layers.values():
        if layer.kind == "FakeQuantize":
            raise InputError(_quantised(path, layer.name))
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(
            f"{weights} does not exist. An OpenVINO model is two files: put the weights of "
            f"{path.name} beside it, under the same name with the suffix .bin."
        )
    data = weights.read_bytes()
    found: dict[str, np.ndarray] = {}
    total = 0
    readers = _readers(layers)
    for key, layer in layers.items():
        if layer.kind != "Const":
            continue
        total += _int(layer.data.get("size"), path, layer.name)
        if total > _MOST_SHARED * len(data):
            raise InputError(f"{path} describes far more weights than {weights.name} contains.")
        array = _constant(path, layer, data)
        if array is not None:
            name = _name(layer, readers.get(key, []), layers)
            unique = name if name not in found else f"{name}/{_own(layer)}"
            if unique in found:
                raise InputError(f"{path} has two constants called {unique}.")
            found[unique] = array
    return found


def openvino_input_hw(path: Path) -> tuple[int, int] | None:
    """Height and width of the images that a model takes; None if it does not take one image.

    Raises:
      InputError: as for `read_openvino`, about the XML file.
    """
    inputs = [layer for layer in _read_graph(path).values() if layer.kind == "Parameter"]
    if len(inputs) != 1:
        return None
    sides = re.fullmatch(r"\d+,\s*3,\s*([1-9]\d*),\s*([1-9]\d*)", inputs[0].data.get("shape", ""))
    return (int(sides[1]), int(sides[2])) if sides else None


def _read_graph(path: Path) -> dict[str, _Layer]:
    """Layers by id."""
    layers: dict[str, _Layer] = {}
    open_elements: list[str] = []

    def start(tag: str, attributes: dict[str, str], line: int) -> None:
        parents = "/".join(open_elements)
        open_elements.append(tag)
        if not parents and tag != "net":
            raise InputError(
                f"{path} is not an OpenVINO model: it begins with <{tag}>, not with <net>."
            )
        if tag == "body":
            raise InputError(f"{path} contains a loop, and models with loops cannot be read.")
        if parents == "net/layers" and attributes.get("id") in layers:
            raise InputError(f"{path} has two layers with the id {attributes['id']}.")
        try:
            if parents == "net/layers" and tag == "layer":
                layers[attributes["id"]] = _Layer(attributes["name"], attributes["type"])
            elif parents == "net/layers/layer" and tag == "data":
                layers[next(reversed(layers))].data = attributes
            elif tag == "attribute" and attributes.get("name") == "fused_names":
                if parents == "net/layers/layer/rt_info":
                    layers[next(reversed(layers))].fused = attributes["value"]
            elif parents == "net/edges" and tag == "edge":
                reader = layers[attributes["to-layer"]]
                layers[attributes["from-layer"]]  # a KeyError if there is none
                reader.inputs[int(attributes["to-port"])] = attributes["from-layer"]
        except (KeyError, ValueError, StopIteration) as error:
            raise InputError(f"{path} is damaged: <{tag}> lacks or has a wrong {error}.") from error

    parse_xml(path, start, lambda tag: open_elements.pop())
    return layers


def _constant(path: Path, layer: _Layer, data: bytes) -> np.ndarray | None:
    """Array of a constant; None for an argument of a layer.

    Raises:
      InputError: it is quantised, or its size, its shape and the file's size do not agree.
    """
    kind = layer.data.get("element_type", "")
    if kind in _QUANTISED:
        raise InputError(_quantised(path, f"{layer.name} of type {kind}"))
    if kind not in _SIZES:
        raise InputError(f"{path}: {layer.name} has the type {kind!r}, which cannot be read.")
    offset = _int(layer.data.get("offset"), path, layer.name)
    size = _int(layer.data.get("size"), path, layer.name)
    dims = [d for d in re.split(r",\s*", layer.data.get("shape", "").strip()) if d]
    shape = [_int(d, path, layer.name) for d in dims]
    count = 1
    for side in shape:
        count *= side
    if count * _SIZES[kind] != size:
        raise InputError(
            f"{path}: {layer.name} has the shape {shape} of {kind}, which is "
            f"{count * _SIZES[kind]} bytes, but the file states {size}."
        )
    if offset + size > len(data):
        raise InputError(
            f"{path.with_suffix('.bin')} has {len(data)} bytes, but {layer.name} ends at byte "
            f"{offset + size}. It is cut off, or belongs to another .xml file: download both again."
        )
    if kind in _ARGUMENTS:
        return None
    array = np.frombuffer(data, _FLOATS[kind], count, offset).reshape(shape)
    if kind == "bf16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def _int(text: str | None, path: Path, name: str) -> int:
    if text is None or not re.fullmatch(r"\d{1,18}", text):
        raise InputError(f"{path} is damaged: {name} has the number {text!r}.")
    return int(text)


def _quantised(path: Path, what: str) -> str:
    return (
        f"{path} is quantised ({what}), and only floating-point weights can be read. Take the "
        "model's float16 or float32 version."
    )


def _readers(layers: dict[str, _Layer]) -> dict[str, list[_Layer]]:
    """Layers that use each constant, directly or after a conversion to another type."""
    readers: dict[str, list[_Layer]] = {}
    for layer in layers.values():
        if layer.kind != "Convert":
            for key in _sources(layer, layers):
                readers.setdefault(key, []).append(layer)
    return readers


def _sources(layer: _Layer, layers: dict[str, _Layer]) -> Iterator[str]:
    """Ids of the layers that `layer` reads, by port, without conversions between them."""
    for _, key in sorted(layer.inputs.items()):
        source = layers[key]
        if source.kind == "Convert" and source.inputs:
            key = next(iter(source.inputs.values()))
        yield key


def _name(constant: _Layer, readers: list[_Layer], layers: dict[str, _Layer]) -> str:
    """Name of a constant; see `read_openvino`."""
    own = _own(constant)
    if not _GENERATED.fullmatch(own):
        return own
    for reader in readers:
        # A bias without a name belongs to the convolution that it is added to.
        for key in _sources(reader, layers) if reader.kind == "Add" else ():
            for before in _sources(layers[key], layers):
                kernel = layers[before]
                if kernel.kind == "Const" and not _GENERATED.fullmatch(_own(kernel)):
                    return f"{_own(kernel)}/{reader.kind}"
    named = [reader for reader in readers if reader.original]
    if named:
        return f"{named[0].original}/{named[0].kind}"
    return f"{own}/{readers[0].kind}" if readers else own


def _own(constant: _Layer) -> str:
    return constant.name.removesuffix("_compressed")
