"""Reading of HDF5 files that may be damaged or hostile, with h5py and without unpickling.

Links and data in other files are not followed, and the size of an array is checked before it is
read, because a small compressed file can hold gigabytes.
"""

import json
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, check_bytes
from jaxpose.json_text import parse_json

MOST_BYTES = 2**28
"""Bytes of one array, or of all texts of a list."""

_HEAP = b"GCOL\x01\0\0\0"
"""First bytes of a global heap."""

MOST_TEXTS = 2**17
"""Texts of a list, which are read one by one."""

_USER_BLOCK = 512
"""Bytes before the HDF5 of a MATLAB 7.3 file, which begin with a text."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open file as h5py's `File`, to read.

    Raises:
      InputError: h5py is not installed, the file is not HDF5 or damaged, or it is too large.
      OSError: it cannot be read.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f'{path} is HDF5: pip install "jaxpose[labels]" to read it.') from None
    check_bytes(path, ANNOTATIONS)
    with path.open("rb") as opened:  # an absent file keeps its own error
        start = opened.read(_USER_BLOCK + 8)
    if b"\x89HDF\r\n\x1a\n" not in (start[:8], start[_USER_BLOCK:]):
        raise InputError(f"{path} is not an HDF5 file.")
    _check_heaps(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    # h5py raises all of these for damaged files.
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is a damaged HDF5 file ({str(error)[:200]}).") from None


def _check_heaps(path: Path) -> None:
    """Check the objects of a file's global heaps, which contain values of variable lengths.

    HDF5 1.14 does not end when it reads a heap that has an object without a size. Layout: HDF5 File
    Format Specification 3.0, section III.E.

    Raises:
      InputError: an object is empty or longer than its heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_HEAP)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content[start + 8 : start + 16].ljust(8, b"\0"))
            place, end = start + 16, start + size
            while place + 16 <= min(end, len(content)):
                index, length = struct.unpack_from("<H6xQ", content, place)
                # Object 0 is the free part at the end, whose length includes its header.
                step = 16 + -(-length // 8) * 8 if index else length
                if step < 16 or place + step > end:
                    raise InputError(
                        f"{path} is a damaged HDF5 file (an object of its heap has {length} bytes)."
                    )
                place += step
            start = content.find(_HEAP, start + 8)


def members(group: Any) -> list[str]:
    """Names of a group's members that are in the same file."""
    import h5py

    links = ((name, group.get(name, getlink=True)) for name in group)
    return [name for name, link in links if type(link) is h5py.HardLink]


def dataset(group: Any, name: str, path: Path) -> Any:
    """Dataset of a group as h5py's `Dataset`, of which nothing is read.

    Raises:
      InputError: it is absent, lies in another file, or is stored in chunks that are too large.
    """
    data = group[name] if name in members(group) else None
    return _checked(data, f"{path}: {group.name.rstrip('/')}/{name}")


def cells(group: Any, name: str, path: Path) -> Iterator[Any]:
    """Datasets to which the references of a list lead, as MATLAB 7.3 stores a cell array.

    Raises:
      InputError: it is absent or has no references; a reference leads to no dataset, or to one that
        `dataset` would refuse.
    """
    import h5py

    data = dataset(group, name, path)
    where = f"{path}: {data.name}"
    if h5py.check_ref_dtype(data.dtype) is not h5py.Reference:
        raise InputError(f"{where} is no cell array.")
    if data.size > MOST_TEXTS:
        raise InputError(f"{where} has {data.size:,} cells, and the limit is {MOST_TEXTS:,}.")
    for number, reference in enumerate(np.ravel(data[()]), start=1):
        yield _checked(group.file[reference] if reference else None, f"{where}, cell {number}")


def _checked(data: Any, where: str) -> Any:
    import h5py

    if not isinstance(data, h5py.Dataset):
        raise InputError(f"{where} is absent.")
    if data.external or data.is_virtual:
        raise InputError(f"{where} lies in another file, which is not read.")
    if data.chunks and np.prod(data.chunks, dtype=float) * data.dtype.itemsize > MOST_BYTES:
        raise InputError(f"{where} is stored in chunks above the limit of {MOST_BYTES:,} bytes.")
    return data


def array(group: Any, name: str, path: Path) -> np.ndarray:
    """Array `[...]` of a group, of numbers, texts of one length or a structure of these.

    Raises:
      InputError: it is absent, has Python objects or variable lengths, lies in another file, or is
        too large.
    """
    data = dataset(group, name, path)
    return content_of(data, f"{path}: {data.name}")


def content_of(data: Any, where: str) -> np.ndarray:
    """Array `[...]` of a dataset from `dataset` or `cells`.

    Raises:
      InputError: as from `array`; the message begins with `where`.
    """
    if data.dtype.hasobject:
        raise InputError(f"{where} has Python objects or texts of any length, which are not read.")
    if data.size is None or data.size * data.dtype.itemsize > MOST_BYTES:
        raise InputError(f"{where} has {data.size} values, and the limit is {MOST_BYTES:,} bytes.")
    return np.asarray(data[()])


def texts(group: Any, name: str, path: Path) -> list[str]:
    """Texts of a list, of one length or of any lengths.

    Raises:
      InputError: it is absent, has no texts, lies in another file, or is too large.
    """
    import h5py

    data = dataset(group, name, path)
    where = f"{path}: {data.name}"
    kind = h5py.check_string_dtype(data.dtype)
    if data.ndim > 1 or (kind is None and data.size):
        raise InputError(f"{where} is no list of texts.")
    if not data.size:
        return []
    if kind.length is not None:
        return [decoded(value, where) for value in np.ravel(array(group, name, path)).tolist()]
    if data.size > MOST_TEXTS:
        raise InputError(f"{where} has {data.size:,} texts, and the limit is {MOST_TEXTS:,}.")
    found, total = [], 0
    # One by one: many entries of a small file can refer to the same long text.
    for place in range(data.size) if data.ndim else [()]:
        found.append(decoded(data[place], where))
        total += len(found[-1])
        if total > MOST_BYTES:
            raise InputError(f"{where} has texts above the limit of {MOST_BYTES:,} bytes.")
    return found


def attribute(group: Any, name: str, path: Path) -> Any:
    """Number or text of an attribute; None if it is absent.

    Raises:
      InputError: it is neither.
    """
    import h5py

    if name not in group.attrs:
        return None
    where = f"{path}: attribute {name!r} of {group.name}"
    stored = group.attrs.get_id(name)
    is_text = h5py.check_string_dtype(stored.dtype) is not None
    one = int(np.prod(stored.shape, dtype=float)) == 1
    if not one or not (is_text or stored.dtype.kind in "biuf"):
        raise InputError(f"{where} is neither a number nor a text.")
    value = np.ravel(np.asarray(group.attrs[name], dtype=object if is_text else None))[0]
    return decoded(value, where) if is_text else value.item()


def parsed(text: str | None, where: str) -> Any:
    """Content of a text in JSON, which files in HDF5 have for lists and tables.

    Raises:
      InputError: it is not JSON, or absent; the message begins with `where`.
    """
    try:
        return parse_json(text or "")
    except json.JSONDecodeError as error:
        what = "absent" if text is None else f"not valid JSON ({error.msg})"
        raise InputError(f"{where} is {what}.") from None


def decoded(value: Any, where: str) -> str:
    """Text of bytes in UTF-8.

    Raises:
      InputError: it is no such text; the message begins with `where`.
    """
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise InputError(f"{where}: a name is not UTF-8.") from None
