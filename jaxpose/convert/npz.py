"""Reader of `.npz` files: plain arrays only, and no more memory than the file's size explains."""

import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from jaxpose.convert.pth import check_unpacked
from jaxpose.errors import InputError

DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError),
    OverflowError,
)
"""Errors of `zipfile` and NumPy for an archive that is damaged; NumPy's ValueError is another."""

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Readers of the header of an array, by the version of its format."""


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of a file by their names.

    Args:
      path: the file.
      names: arrays to read, those that are there; all if None.

    Raises:
      InputError: the file is damaged or missing, contains pickled objects, or needs far more memory
        than its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                member.filename.removesuffix(".npy"): member for member in archive.infolist()
            }
            wanted = {k: m for k, m in members.items() if names is None or k in names}
            check_unpacked(path, sum(member.file_size for member in wanted.values()))
            return {name: _member(archive, member) for name, member in wanted.items()}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except DAMAGED as error:
        raise InputError(
            f"{path} is not an intact npz file ({error}). Download or write it again."
        ) from error
    except ValueError as error:  # numpy's refusal of pickled objects
        raise InputError(
            f"{path} contains objects other than plain arrays ({error}). Save one array per "
            f"parameter with numpy.savez."
        ) from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Array of a member of an npz file, whose header is compared with its size first."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = HEADERS.get(version)
        if header is None:
            raise ValueError(f"{member.filename} has the unknown version {version}")
        shape, _, dtype = header(file)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size:
            raise EOFError(
                f"{member.filename} claims the shape {list(shape)} and has "
                f"{member.file_size:,} bytes"
            )
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
