"""Paths of runs and data: folders on this machine, or in a bucket such as `gs://mine/runs/b`.

Buckets are read and written through etils.epath, as Orbax and TFDS do. A file in a bucket appears
whole when it is closed; files cannot be appended to or locked.
"""

import errno
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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


def is_folder(path: Path) -> bool:
    """True if a path is a folder; False, too, for a name that no file system takes."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
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


def atomic_write(file: Path, content: str | bytes) -> None:
    """Writes a file through `whole_file`; text as UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    if in_bucket(file):  # whole when it is closed, so it needs no temporary file
        file.write_bytes(data)
        return
    with whole_file(file) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(file: Path, *, to_disk: bool = True) -> Iterator[Path]:
    """Temporary path on this machine whose content replaces `file` when the `with` block ends.

    After an error or a kill, `file` has its earlier content, or does not exist if it did not
    before.

    Args:
      file: path of the file; its folder exists.
      to_disk: see `put_in_place`.

    Raises:
      OSError: the file cannot be written; `filename` is `file`.
    """
    if in_bucket(file):
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / file.name
            yield local
            file.write_bytes(local.read_bytes())
        return
    partial = partial_of(file)
    try:
        yield partial
        put_in_place(partial, file, to_disk=to_disk)
    except OSError as error:
        if error.filename in (None, str(partial)):
            error.filename = str(file)
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """New hidden path beside `path` for content that is not complete yet; has the same suffix."""
    return path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")


def part_of(path: Path) -> Path:
    """Visible path beside `path` for the results of a run that broke off: `a.partial.json`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def note_parts(error: BaseException, parts: Iterable[Path]) -> None:
    """Adds a note to the error that broke a run off: the files with its results so far."""
    if names := ", ".join(map(str, parts)):
        error.add_note(f"The results so far are in {names}. Earlier files are unchanged.")


def put_in_place(partial: Path, file: Path, *, to_disk: bool = True) -> None:
    """Renames a complete file of `partial_of` to its final name, replacing an earlier file.

    Args:
      partial: path of the complete file.
      file: its final path.
      to_disk: wait until the content is on the disk, so that a power cut leaves the earlier file or
        the new one. Otherwise that holds for errors and kills only; for files of which a command
        writes thousands.

    Raises:
      OSError: the disk or the network drive did not take the content.
    """
    if to_disk:
        _sync(partial)
    os.replace(partial, file)
    if to_disk:
        _sync_names(file.parent)


def put_folder_in_place(partial: Path, folder: Path) -> None:
    """Renames a folder of complete files to its final name, replacing an earlier folder.

    If the new folder cannot take the name, the earlier one gets it back.

    Raises:
      OSError: the disk or the network drive did not take the content.
    """
    sync_folder(partial)
    earlier = partial_of(folder)
    replaces = folder.exists()
    if replaces:
        folder.rename(earlier)
    try:
        partial.rename(folder)
    except OSError:
        if replaces:
            earlier.rename(folder)
        raise
    _sync_names(folder.parent)
    shutil.rmtree(earlier, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Waits until all files below a folder are on the disk.

    Raises:
      OSError: the disk or the network drive did not take the content.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            _sync(path)
        elif path.is_dir():
            _sync_names(path)
    _sync_names(folder)


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        try:
            os.fsync(opened.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a device, or not supported
                raise


def _sync_names(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system supports this."""
    with suppress(OSError):  # Windows cannot open folders; some file systems do not sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
    with whole_file(local) as partial, file.open("rb") as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target, 2**24)
