"""Safe reader of arrays in other projects' pickles; no code of the pickle runs."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.convert.npz import DAMAGED, HEADERS
from jaxpose.convert.pickles import check_opcodes
from jaxpose.convert.pth import check_unpacked
from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import ANNOTATIONS, read_bytes

# Functions that rebuild arrays and plain containers; NumPy 2 moved `core` to `_core`.
_ALLOWED = {
    *(("numpy", name) for name in ("ndarray", "dtype")),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}


# What Python's own pickles of objects name beside their class.
_OBJECTS = {
    *(("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")),
    *(("builtins", "object"), ("__builtin__", "object")),
}


class Stored:
    """Object of another package in a pickle: the attributes that were stored, and no code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state) if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    stored: tuple[str, ...] = ()

    def find_class(self, module: str, name: str) -> Any:
        if any(f"{module}.".startswith(f"{package}.") for package in self.stored):
            return type(name, (Stored,), {})
        if (module, name) in _ALLOWED or (self.stored and (module, name) in _OBJECTS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it needs {module}.{name}, which is not allowed")


def read_pickle(path: Path, stored: tuple[str, ...] = ()) -> Any:
    """Reads the dictionaries, lists and arrays of a pickle.

    Args:
      path: the file.
      stored: packages whose objects are returned as `Stored`.

    Raises:
      InputError: no such file, not a pickle, or one that contains other types.
    """
    return _unpickle(_bytes(path), path, stored)


def read_pickled_npz(path: Path, key: str) -> Any:
    """Reads the object stored in array `key` of an `.npz`, as VideoPose3D stores dictionaries.

    Raises:
      InputError: no such file or array, or a pickle as in `read_pickle`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(_bytes(path))) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if f"{key}.npy" not in archive.namelist():
                raise InputError(f"{path}: has no array {key!r}, only {', '.join(names)}.")
            check_unpacked(path, archive.getinfo(f"{key}.npy").file_size)
            content = io.BytesIO(archive.read(f"{key}.npy"))
            version = np.lib.format.read_magic(content)
    except (*DAMAGED, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: this is not an intact .npz file: {error}.") from error
    if version not in HEADERS:
        raise InputError(f"{path}: {key} is stored in format {version}, which is not supported.")
    try:
        _, _, dtype = HEADERS[version](content)
    except ValueError as error:
        raise InputError(f"{path}: {key} has a damaged header: {error}.") from error
    if not dtype.hasobject:
        raise InputError(f"{path}: {key} is an array of {dtype}, not a stored dictionary.")
    held = _unpickle(content.read(), path)
    return held.item() if isinstance(held, np.ndarray) and held.ndim == 0 else held


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, ANNOTATIONS)
    except OSError as error:
        raise not_read(path, error) from error


def _unpickle(content: bytes, path: Path, stored: tuple[str, ...] = ()) -> Any:
    try:
        check_opcodes(io.BytesIO(content))
        # Files of Python 2 contain text as bytes in this encoding.
        reader = _Unpickler(io.BytesIO(content), encoding="latin1")
        reader.stored = stored
        return reader.load()
    except Exception as error:  # arbitrary bytes make the unpickler raise nearly anything
        raise InputError(
            f"{path}: not a pickle of arrays: {error or type(error).__name__}."
        ) from error
