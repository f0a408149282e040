"""Weight files that belong to a TensorFlow.js `model.json`, which only lists them."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import SETTINGS, read_bytes
from jaxpose.json_text import parse_json


def read_tfjs_json(path: Path) -> dict[str, Any] | None:
    """Content of a TensorFlow.js `model.json`; None for a file that is not one.

    Raises:
      InputError: it cannot be read.
    """
    try:
        content = parse_json(read_bytes(path, SETTINGS))
    except OSError as error:
        raise not_read(path, error) from error
    except InputError:
        raise
    except ValueError:  # no JSON, or no text at all
        return None
    if isinstance(content, dict) and isinstance(content.get("weightsManifest"), list):
        return content
    return None


def shard_names(path: Path) -> list[str]:
    """Names of the weight files that a `model.json` lists, relative to its folder, each once.

    Empty for a file that is no TensorFlow.js model.

    Raises:
      InputError: the file cannot be read; a name leads out of the folder.
    """
    content = read_tfjs_json(path)
    groups = [] if content is None else content["weightsManifest"]
    names = [name for group in groups for name in group_paths(group, path)]
    return list(dict.fromkeys(names))


def group_paths(group: Any, path: Path) -> list[str]:
    """Names of the files of one group of a manifest, in order.

    Raises:
      InputError: the group has no names, or one leads out of the folder.
    """
    names = group.get("paths") if isinstance(group, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{path} does not name the files of its weights (weightsManifest, paths).")
    for name in names:
        # A file from Windows may have been written with its separators.
        for kind in (PurePosixPath(name), PureWindowsPath(name)):
            if kind.is_absolute() or kind.drive or ".." in kind.parts or ":" in name:
                raise InputError(
                    f"{path} names the weight file {name!r}, which is not in its folder. Put the "
                    "file beside it, and write only its name into `paths`."
                )
    return names
