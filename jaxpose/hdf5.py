"""Reading of HDF5 files that may be damaged or hostile, with h5py and without unpickling.

Links and data in other files are not followed, and the size of an array is checked before it is
read, because a small compressed file can hold gigabytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, check_bytes

MOST_BYTES = 2**28
"""Bytes of one array."""


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
        if opened.read(8) != b"\x89HDF\r\n\x1a\n":
            raise InputError(f"{path} is not an HDF5 file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    # h5py raises all of these for damaged files.
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is a damaged HDF5 file ({str(error)[:200]}).") from None


def members(group: Any) -> list[str]:
    """Names of a group's members that are in the same file."""
    import h5py

    links = ((name, group.get(name, getlink=True)) for name in group)
    return [name for name, link in links if type(link) is h5py.HardLink]


def array(group: Any, name: str, path: Path) -> np.ndarray:
    """Array `[...]` of a group, of numbers, texts of one length or a structure of these.

    Raises:
      InputError: it is absent, has Python objects or variable lengths, lies in another file, or is
        too large.
    """
    import h5py

    data = group[name] if name in members(group) else None
    where = f"{path}: {group.name.rstrip('/')}/{name}"
    if not isinstance(data, h5py.Dataset):
        raise InputError(f"{where} is absent.")
    if data.external or data.is_virtual:
        raise InputError(f"{where} lies in another file, which is not read.")
    if data.dtype.hasobject:
        raise InputError(f"{where} has Python objects or texts of any length, which are not read.")
    if data.size is None or data.size * data.dtype.itemsize > MOST_BYTES:
        raise InputError(f"{where} has {data.size} values, and the limit is {MOST_BYTES:,} bytes.")
    return np.asarray(data[()])


def decoded(value: Any, where: str) -> str:
    """Text of bytes in UTF-8.

    Raises:
      InputError: it is no such text; the message begins with `where`.
    """
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise InputError(f"{where}: a name is not UTF-8.") from None
