"""Reader of MATLAB files, the format of the LSP and MPII annotations."""

import struct
import zlib
from pathlib import Path
from typing import Any

from jaxpose.errors import InputError, nearest
from jaxpose.file_limits import ANNOTATIONS, read_bytes
from jaxpose.media.image import missing

MAX_BYTES = 2**30
"""Limit on the unpacked variables of a file."""

_MATRIX, _COMPRESSED = 14, 15
_TYPES = frozenset({*range(1, 8), 9, *range(12, 19)})


def read_mat(path: str | Path, variable: str) -> Any:
    """Reads one variable of a MATLAB file: an array, or structs as objects with attributes.

    Axes of length one are dropped, so a list of one struct becomes that struct.

    Raises:
      InputError: the file is missing, is not an intact MATLAB file (version 7.2 or before), needs
        more than `MAX_BYTES` unpacked, or has no such variable.
    """
    from scipy.io import loadmat

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        _check_elements(read_bytes(path, ANNOTATIONS))
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except NotImplementedError as error:
        raise InputError(
            f"{path} is a MATLAB 7.3 file, which cannot be read. Save it in MATLAB with "
            "save(..., '-v7')."
        ) from error
    except InputError as error:
        raise InputError(f"{path} cannot be read as a MATLAB file: {error}.") from None
    except Exception as error:  # arbitrary bytes make SciPy raise nearly anything
        raise InputError(f"{path} cannot be read as a MATLAB file: {error}.") from error
    if variable not in content:
        names = [name for name in content if not name.startswith("__")]
        raise InputError(
            f"{path} has no variable {variable!r}.{nearest(variable, names)} "
            f"It holds: {', '.join(names) or 'nothing'}."
        )
    return content[variable]


def _check_elements(data: bytes) -> None:
    """Check the types and sizes of all elements of a file of version 5 to 7.2.

    SciPy's reader ends the process for some types that do not exist. The layout is in "MAT-File
    Format", The MathWorks, section "Level 5 MAT-File Format".

    Raises:
      InputError: an element is of an unknown type or longer than the file.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:  # version 4 has no such mark
        return
    waiting = [memoryview(data)[128:]]
    unpacked = 0
    while waiting:
        rest = waiting.pop()
        while len(rest) >= 8:
            kind, size = struct.unpack(f"{order}II", rest[:8])
            start, end = 8, 8 + size
            if kind >> 16:  # a small element has its size in the upper half of its type
                kind, size, start = kind & 0xFFFF, kind >> 16, 4
                end = start + size
            if kind not in _TYPES or end > len(rest):
                raise InputError(f"it has an element of type {kind} and {size:,} bytes")
            if kind == _COMPRESSED:
                inflater = zlib.decompressobj()
                inner = inflater.decompress(rest[start:end], MAX_BYTES - unpacked)
                unpacked += len(inner)
                if unpacked >= MAX_BYTES:
                    raise InputError(f"its variables need more than {MAX_BYTES:,} bytes unpacked")
                waiting.append(memoryview(inner))
            elif kind == _MATRIX:
                waiting.append(rest[start:end])
            # Elements begin at multiples of 8 bytes, except compressed ones.
            rest = rest[end if kind == _COMPRESSED else max(8, -(-end // 8) * 8) :]
