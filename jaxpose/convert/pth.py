"""Reading of the tensors in PyTorch's files (`.pth`, `.pt`, `.bin`, `.ckpt`) without PyTorch.

Since PyTorch 1.6 a file is a zip archive: one member is a pickle in which tensors refer to
storages, and each storage is a separate member. Before 1.6 it was four pickles and then all
storages. Objects that a pickle names are neither imported nor run (see `pickles`), and only
storages in use are read.
"""

import functools
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import ml_dtypes
import numpy as np

from jaxpose.convert.pickles import Storage, Tensor, read_pickle
from jaxpose.errors import InputError

T = TypeVar("T")

FREE_BYTES, BYTES_PER_BYTE = 2**26, 16
"""Limit on a file's arrays in memory: 64 MiB and 16 times the size of the file."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_COUNT = 8  # bytes of the number of elements before each storage of the older format
_AGAIN = "Download or write it again."


class Checkpoint:
    """Content of a PyTorch file; as a context it closes the file.

    Attributes:
      content: object in the file. Its tensors are `Tensor`; objects that are not weights are empty
        stand-ins.
    """

    def __init__(self, path: Path) -> None:
        """Read everything except the numbers of the tensors.

        Raises:
          InputError: the file is damaged or is not a PyTorch file, or its pickle refers to code
            that weights do not need.
        """
        self._path = path
        self._storage: Callable[[Storage], bytes]
        self._byte_order: Literal["<", ">"] = "<"
        self.content: Any = None
        self._file = path.open("rb")
        try:
            zipped = self._file.peek(4)[:4] == b"PK\x03\x04"
            self._guarded(self._open_zip if zipped else self._open_legacy)
        except InputError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def array(self, key: str, tensor: Tensor) -> np.ndarray:
        """Read the numbers of a tensor, in its dtype.

        Raises:
          InputError: the storage is absent, damaged or too short; the message contains `key`.
        """
        return self._guarded(lambda: self._array(key, tensor))

    def check_size(self, tensors: Mapping[str, Any]) -> None:
        """Check how much memory tensors need as float32, before they are read.

        Raises:
          InputError: more than the limit; a view may repeat a few numbers many times.
        """
        views = [value for value in tensors.values() if isinstance(value, Tensor)]
        storages = {view.storage.name: _size(view.storage) for view in views}
        needed = sum(max(_dtype(v.dtype).itemsize, 4) * math.prod(v.shape) for v in views)
        check_unpacked(self._path, max(needed, sum(storages.values())))

    def _array(self, key: str, tensor: Tensor) -> np.ndarray:
        dtype = _dtype(tensor.dtype).newbyteorder(self._byte_order)
        numbers = np.frombuffer(self._storage(tensor.storage), dtype)
        last = tensor.offset + sum(
            (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        )
        if math.prod(tensor.shape) == 0:
            return np.zeros(tensor.shape, _dtype(tensor.dtype))
        if last >= len(numbers):
            raise InputError(
                f"{self._path} is not an intact PyTorch file: the storage of {key} "
                f"{list(tensor.shape)} has {len(numbers)} numbers, but needs {last + 1}. "
                f"{_AGAIN}"
            )
        strides = [stride * dtype.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(
            numbers[tensor.offset :], tensor.shape, strides, writeable=False
        )
        return view.astype(_dtype(tensor.dtype))

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except InputError as error:
            if str(error).startswith(str(self._path)):
                raise
            raise InputError(f"{self._path} is refused: {error}.") from error
        except RecursionError as error:
            raise InputError(
                f"{self._path} is refused: its pickle is nested too deeply."
            ) from error
        except Exception as error:  # arbitrary bytes make the unpickler raise nearly anything
            raise InputError(
                f"{self._path} is not an intact PyTorch file ({_first_line(error)}). {_AGAIN}"
            ) from error

    def _open_zip(self) -> None:
        archive = zipfile.ZipFile(self._file)
        names = archive.namelist()
        data = [name for name in names if name.split("/")[1:] == ["data.pkl"]]
        if len(data) != 1:
            raise InputError("it is a zip archive, but not one that torch.save wrote")
        folder = data[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in names:
            raise InputError("it is a TorchScript program, not weights; save its state_dict")
        order = f"{folder}byteorder"
        self._byte_order = ">" if order in names and archive.read(order) == b"big" else "<"
        check_unpacked(self._path, archive.getinfo(data[0]).file_size)
        self.content, _ = read_pickle(io.BytesIO(archive.read(data[0])))

        def storage(wanted: Storage) -> bytes:
            member = archive.getinfo(f"{folder}data/{wanted.name}")
            if member.file_size != _size(wanted):
                raise ValueError(
                    f"{member.filename} has {member.file_size} bytes, not {_size(wanted)}"
                )
            return archive.read(member)

        self._storage = functools.lru_cache(maxsize=1)(storage)

    def _open_legacy(self) -> None:
        file = self._file
        first = file.peek(1)[:1]
        if not first:
            raise ValueError("it is empty")
        if first != pickle.PROTO or read_pickle(file)[0] != _LEGACY_MAGIC:
            raise InputError(
                "it was not written by torch.save. Save the state_dict with torch.save, or as "
                "safetensors"
            )
        read_pickle(file)  # the version
        system, _ = read_pickle(file)
        self._byte_order = "<" if system["little_endian"] else ">"
        self.content, storages = read_pickle(file)
        names, _ = read_pickle(file)
        places = {}
        position = file.tell()
        for name in names:
            places[name] = position
            position += _COUNT + _size(storages[name])

        def storage(wanted: Storage) -> bytes:
            file.seek(places[wanted.name])
            count = int.from_bytes(file.read(_COUNT), "little")
            found = file.read(_size(wanted))
            if count != wanted.count or len(found) != _size(wanted):
                raise ValueError(f"storage {wanted.name} ends early")
            return found

        self._storage = functools.lru_cache(maxsize=1)(storage)


def check_unpacked(path: Path, needed: int) -> None:
    """Check that a file of weights does not need far more memory than its size.

    Raises:
      InputError: it needs more than `FREE_BYTES` and `BYTES_PER_BYTE` times its size.
    """
    size = path.stat().st_size
    if needed > FREE_BYTES + BYTES_PER_BYTE * size:
        raise InputError(
            f"{path} is refused: its arrays need {needed / 2**30:,.1f} GiB of memory, although the "
            f"file has {size:,} bytes. At most {FREE_BYTES // 2**20} MiB and {BYTES_PER_BYTE} "
            "times the size of the file are read"
        )


def _size(storage: Storage) -> int:
    """Size of a storage in bytes."""
    return storage.count * _dtype(storage.dtype).itemsize


def _dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__
