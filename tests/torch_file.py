"""PyTorch's zip format written by hand, so that its reader is tested without PyTorch."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np

TYPES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}
TYPES |= {"bfloat16": "BFloat16Storage", "float64": "DoubleStorage", "bool": "BoolStorage"}


class _Global:
    """Pickled as a name that is looked up, without the module being there."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name


class _Reduced:
    """Pickled as the call of a `_Global`."""

    def __init__(self, function: _Global, arguments: tuple):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return _call, (self.function, *self.arguments)


def _call(function, *arguments):
    raise AssertionError("only ever written")


class _Storage:
    def __init__(self, key: str, array: np.ndarray):
        self.key, self.array = key, array


class _Pickler(pickle._Pickler):
    """Python's own pickler with names written as they are told, and storages by reference."""

    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            kind = _Global("torch", TYPES[obj.array.dtype.name])
            return ("storage", kind, obj.key, "cpu", obj.array.size)
        return None

    def save(self, obj, *args, **kwargs):
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Reduced):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, *args, **kwargs)


def call(module: str, name: str, *arguments) -> _Reduced:
    """A value that the pickle makes by calling `module.name`."""
    return _Reduced(_Global(module, name), arguments)


class Writer:
    """Collects tensors, then writes the file."""

    def __init__(self):
        self.storages: list[np.ndarray] = []

    def tensor(self, array: np.ndarray, view: tuple | None = None) -> _Reduced:
        """A tensor of its own storage; `view` is (offset, shape, strides) into it, in elements."""
        storage = _Storage(str(len(self.storages)), array.ravel())
        self.storages.append(array.ravel())
        strides = tuple(
            stride // array.itemsize for stride in np.zeros(array.shape, array.dtype).strides
        )
        offset, shape, strides = view or (0, array.shape, strides)
        rest = False, call("collections", "OrderedDict")
        return call("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, *rest)

    def write(
        self, path: Path, content, *, order: str = "little", cut: int = 0, protocol: int = 2
    ) -> Path:
        """`cut` bytes are left off every storage."""
        data = io.BytesIO()
        _Pickler(data, protocol=protocol).dump(content)
        with zipfile.ZipFile(path, "w") as archive:

            def put(name: str, content: bytes | str) -> None:
                archive.writestr(zipfile.ZipInfo(name), content)  # without the time of writing

            put("x/data.pkl", data.getvalue())
            put("x/byteorder", order)
            for key, storage in enumerate(self.storages):
                if order == "big":
                    storage = storage.byteswap()
                numbers = storage.tobytes()
                put(f"x/data/{key}", numbers[: len(numbers) - cut])
        return path


def write(
    path: Path, arrays: dict[str, np.ndarray], wrap=lambda tensors: tensors, **kwargs
) -> Path:
    """A file of `arrays`, put into `wrap`."""
    writer = Writer()
    return writer.write(path, wrap({k: writer.tensor(a) for k, a in arrays.items()}), **kwargs)
