"""Reader of MATLAB files, the format of the LSP and MPII annotations."""

from pathlib import Path
from typing import Any

from jaxpose.errors import InputError, nearest
from jaxpose.media.image import missing


def read_mat(path: str | Path, variable: str) -> Any:
    """Reads one variable of a MATLAB file: an array, or structs as objects with attributes.

    Axes of length one are dropped, so a list of one struct becomes that struct.

    Raises:
        InputError: the file is missing, is not a MATLAB file (version 7.2 or before), or has no
            such variable.
    """
    from scipy.io import loadmat, matlab

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except NotImplementedError as error:
        raise InputError(
            f"{path} is a MATLAB 7.3 file, which cannot be read. Save it in MATLAB with "
            "save(..., '-v7')."
        ) from error
    except (OSError, ValueError, TypeError, IndexError, matlab.MatReadError) as error:
        raise InputError(f"{path} cannot be read as a MATLAB file: {error}.") from error
    if variable not in content:
        names = [name for name in content if not name.startswith("__")]
        raise InputError(
            f"{path} has no variable {variable!r}.{nearest(variable, names)} "
            f"It holds: {', '.join(names) or 'nothing'}."
        )
    return content[variable]
