"""Limits of files that are read whole, and readers that check them first.

Other limits stand where they are checked: `media.image.MAX_MEGAPIXELS` for images and frames,
`convert.pth.FREE_BYTES` for unpacked weights, `json_text.MAX_DEPTH`, `motion.timing.MOST_ROWS`,
`download.transfer.MAX_BYTES`, `hdf5.MOST_BYTES` and `xml_text.MAX_DEPTH`. `.github/docs/predict.md`
lists all.
"""

import functools
import tomllib
from pathlib import Path
from typing import Any

from jaxpose.errors import InputError

SETTINGS = 64 * 2**20
"""Bytes of a configuration, skeleton, calibration, index of weights, or list of paths."""

YAML = 2**22
"""Bytes of a YAML file, whose parser is slow."""

IMAGE = 2**30
"""Bytes of an encoded image."""

MOTION = 2**29
"""Bytes of a BVH file."""

POSITIONS = 50_000_000
"""Positions in a BVH file, frames times joints: 4 hours of 60 joints at 60 frames a second."""

ANNOTATIONS = 4 * 2**30
"""Bytes of annotations, boxes and results as JSON, JSON lines or CSV, and of MATLAB or pickle."""


def check_bytes(path: Path, limit: int) -> None:
    """Checks the size of a file before it is read.

    Raises:
      InputError: it has more bytes than `limit`.
      OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > limit:
        raise InputError(
            f"{path} has {size:,} bytes; files of this kind are read up to {limit:,} bytes. Is it "
            "the right file? If so, split it"
        )


def read_bytes(path: Path, limit: int) -> bytes:
    """Content of a file; raises as `check_bytes`."""
    check_bytes(path, limit)
    return path.read_bytes()


def read_text(path: Path, limit: int) -> str:
    """Content of a UTF-8 file, with or without a byte order mark.

    Raises:
      InputError: it has more bytes than `limit`.
      OSError: it cannot be read.
      UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8-sig")


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file.

    Raises:
      InputError: it is not TOML, is nested too deeply, or has more than `SETTINGS` bytes.
      OSError: it cannot be read.
    """
    try:
        return tomllib.loads(read_text(path, SETTINGS))
    except InputError:
        raise
    except ValueError as error:  # also a number of thousands of digits
        raise InputError(f"{path}: not valid TOML: {error}.") from None
    except RecursionError:
        raise InputError(f"{path}: not valid TOML: nested too deeply.") from None


def read_yaml(path: Path) -> Any:
    """Content of a YAML file of plain values.

    Merge keys (`<<`) are refused: they can expand a small file to gigabytes.

    Raises:
      InputError: it is not YAML, asks for Python objects, has merge keys, is nested too deeply, or
        has more than `YAML` bytes.
      OSError: it cannot be read.
    """
    import yaml

    try:
        return yaml.load(read_text(path, YAML), _yaml_loader())
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}: not valid YAML: {error.problem}{place}.") from None
    # PyYAML raises these for values of a wrong form, such as `!!int x` or a date of month 13.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        raise InputError(f"{path}: not valid YAML: a value has a wrong form.") from None


@functools.cache
def _yaml_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: Any) -> None:
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(
                        None, None, "it has a merge key (<<), which is not read", key.start_mark
                    )
            super().flatten_mapping(node)

    return Loader
