"""Where runs and data lie: folders of this machine, or of a bucket such as `gs://mine/runs/b`.

Buckets are read and written through etils.epath, as Orbax and TFDS do. A file there appears whole
when it is closed; nothing can be appended to it, and nothing locked.
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
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Where fetched weights stay; it need not exist.

    `JAXPOSE_CACHE`, or else `jaxpose` where the system keeps what can be fetched again:
    `XDG_CACHE_HOME` or `~/.cache`, on macOS `~/Library/Caches`, on Windows `%LOCALAPPDATA%`.
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
    """The path that `text` names: epath's in a bucket, else pathlib's.

    Both have what is asked of a path here, so the type says pathlib's.
    """
    return cast(Path, epath.Path(text)) if in_bucket(text) else Path(text)


def in_bucket(path: str | os.PathLike[str]) -> bool:
    """Whether the path is one of a bucket."""
    return os.fspath(path).startswith(SCHEMES)


def check_reachable(path: Path) -> None:
    """Refuse a bucket that this machine cannot look into.

    Raises:
      InputError: a package is missing, the bucket does not exist, or nobody is logged in.
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
    except ModuleNotFoundError:  # of a package around it
        return False


def atomic_write(file: Path, text: str) -> None:
    """Write a file that a kill must not cut short: it appears whole or not at all."""
    if in_bucket(file):
        file.write_text(text)
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text)
    partial.replace(file)


@contextmanager
def write_via_local(file: Path) -> Iterator[Path]:
    """A path of this machine to write what becomes `file`, for libraries that know no buckets."""
    if not in_bucket(file):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / file.name
        yield local
        file.write_bytes(local.read_bytes())


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """`path`, a file or a folder, on this machine, for libraries that know no buckets."""
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
            raise InputError(f"There is nothing at {path}.")
        yield local


def kept_on_disk(folder: Path, names: Iterable[str], key: str) -> Path:
    """This machine's copy of files in a bucket's folder, fetched once for each `key`.

    `key` names their content. The copy lies beside fetched weights, in `JAXPOSE_CACHE`.
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
