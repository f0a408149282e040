"""Paths of runs and data: folders on this machine, or in a bucket such as `gs://mine/runs/b`.

Buckets are read and written through etils.epath, as Orbax and TFDS do. A file in a bucket appears
whole when it is closed; files cannot be appended to or locked.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from etils import epath

from jaxpose.errors import InputError

SCHEMES = ("gs://",)
CACHE_VARIABLE = "JAXPOSE_CACHE"
"""Environment variable that sets another cache folder."""


def cache_folder() -> Path:
    """Cache folder of downloaded weights; it need not exist.

    `JAXPOSE_CACHE`, or else `jaxpose` in the system's cache folder: `XDG_CACHE_HOME` or `~/.cache`,
    on macOS `~/Library/Caches`, on Windows `%LOCALAPPDATA%`.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxpose"


def as_path(text: str | os.PathLike[str]) -> Path:
    """Converts `text` to a path: epath's in a bucket, else pathlib's.

    Both have all methods used here, so the type is given as pathlib's.
    """
    return cast(Path, epath.Path(text)) if in_bucket(text) else Path(text)


def in_bucket(path: str | os.PathLike[str]) -> bool:
    """True if the path is in a bucket."""
    return os.fspath(path).startswith(SCHEMES)


def check_reachable(path: Path) -> None:
    """Checks that this machine can read a bucket.

    Raises:
      InputError: a package is missing, the bucket does not exist, or there is no login.
    """
    if not in_bucket(path):
        return
    if str(path).startswith("gs://") and not _has("google.cloud.storage"):
        raise InputError(f'{path} is in a bucket: pip install "jaxpose[gcs]" to use it.')
    try:
        path.exists()
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} cannot be reached: {first[:200].rstrip('.')}. Is the bucket's name right, and "
            "may this machine use it (`gcloud auth application-default login`, or the service "
            "account of the VM)?"
        ) from error


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the error of a wrapping package
        return False


def is_file(path: Path) -> bool:
    """True if a path is a file; False, too, for a name that no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, a zero byte
        return False


def is_inside(path: Path, real_folder: Path) -> bool:
    """True if a path leads into a folder, after `..` and links are followed.

    Args:
      path: the path; it need not exist.
      real_folder: the folder, as `Path.resolve` returns it.
    """
    try:
        return path.resolve().is_relative_to(real_folder)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name with a zero byte
        return False


def atomic_write(file: Path, text: str) -> None:
    """Writes a file atomically: after a kill, the file is whole or absent."""
    if in_bucket(file):
        file.write_text(text)
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text)
    partial.replace(file)


@contextmanager
def write_via_local(file: Path) -> Iterator[Path]:
    """Local path to write the content of `file` to, for libraries that do not support buckets."""
    if not in_bucket(file):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / file.name
        yield local
        file.write_bytes(local.read_bytes())


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Local copy of a file or a folder of files, for libraries that do not support buckets."""
    if not in_bucket(path):
        yield path
        return
    check_reachable(path)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / path.name
        if path.is_dir():
            _fetch_folder(path, local)
        elif path.exists():
            _fetch(path, local)
        else:
            raise InputError(f"{path} does not exist.")
        yield local


def kept_on_disk(folder: Path, names: Iterable[str], key: str) -> Path:
    """Cached local copy of files in a bucket's folder, fetched once for each `key`.

    `key` identifies their content. The copy lies beside downloaded weights, in `JAXPOSE_CACHE`.
    """
    copy = cache_folder() / "data" / key
    copy.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (copy / name).exists():
            _fetch(folder / name, copy / name)
    return copy


def _fetch_folder(folder: Path, local: Path) -> None:
    local.mkdir()
    for path in folder.iterdir():
        if path.is_dir():
            _fetch_folder(path, local / path.name)
        else:
            _fetch(path, local / path.name)


def _fetch(file: Path, local: Path) -> None:
    partial = local.with_name(f".{local.name}.{os.getpid()}")
    with file.open("rb") as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target, 2**24)
    partial.replace(local)
