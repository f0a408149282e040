"""Cache of downloaded weights: fetched once, checked, and kept."""

import hashlib
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jaxpose.console import PlainConsole
from jaxpose.download.address import Address, address_of
from jaxpose.download.shards import shard_names
from jaxpose.download.transfer import check_content, receive
from jaxpose.errors import InputError, not_read, reason
from jaxpose.paths import CACHE_VARIABLE, atomic_write, cache_folder, partial_of, put_in_place

_RELEASE = ("config.json", "model.safetensors")
_STALE = 24 * 3600.0  # seconds after which no process still writes a partial file


def local(where: str | Path) -> Path:
    """Path of weights: `where` itself, or the cached file of its address.

    Args:
      where: a path, or an `https://` address of a file or of a release folder.

    Raises:
      InputError: as `address_of` and `fetch`.
    """
    address = address_of(where)
    return Path(where) if address is None else fetch(address)


def fetch(address: Address) -> Path:
    """Fetches the file or release folder of an address, or returns it from the cache.

    A file appears in the cache whole and checked, or not at all. For a file without a known
    checksum, its SHA-256 is printed so that it can be pinned. Such a file is accepted: code in
    weights is never run, and a published checksum usually comes from the same server as the file.
    The weight files that a TensorFlow.js `model.json` lists are fetched beside it, as is the `.bin`
    of the same name for the `.xml` of an OpenVINO model.

    Raises:
      InputError: the host cannot be reached or refuses, the content is a web page or too large or
        does not match its checksum, or the cache cannot be written.
    """
    folder = _cached(address)
    if not address.is_folder:
        path = _file(address, folder)
        for name in shard_names(path) if path.suffix == ".json" else ():
            _file(address.beside(name), folder)
        if path.suffix == ".xml":
            try:
                _file(address.with_suffix(".bin"), folder)
            except InputError as error:
                raise InputError(
                    f"An OpenVINO model is two files, and {address.url} is one of them. {error}"
                ) from error
        return path
    for name in _RELEASE:
        _file(address.inside(name), folder)
    return folder


def fetch_inside(where: str | Path, sums: Mapping[str, str]) -> None:
    """More files of the release folder at the address `where`, beside those that `fetch` fetched.

    Args:
      where: the address of the folder.
      sums: SHA-256 of each file, by its name relative to the folder.

    Raises:
      InputError: as `fetch`.
    """
    address = address_of(where)
    if address is None or not address.is_folder:
        return
    folder = _cached(address)
    for name, sha256 in sums.items():
        _file(replace(address.inside(name), sha256=sha256, pinned=True), folder)


def place_of(address: Address) -> Path:
    """Path in the cache of the file of an address, fetched or not.

    A file that was put there by hand is used like a fetched one, once its checksum is right.
    """
    return _cached(address) / address.name


def is_fetched(address: Address) -> bool:
    """True if the file of an address is in the cache, with the right checksum in its note."""
    path = place_of(address)
    kept = _noted(_note_of(path)) if path.is_file() else ""
    return bool(kept) and kept.startswith(address.sha256)


def _cached(address: Address) -> Path:
    return cache_folder() / "weights" / hashlib.sha256(address.url.encode()).hexdigest()[:16]


def known_checksum(path: Path) -> str:
    """SHA-256 of a file, 64 digits; that of a file in the cache is read from its note.

    Raises:
      InputError: the file cannot be read.
    """
    kept = cache_folder() / "weights" in path.parents and _noted(_note_of(path))
    return kept or checksum(path)


def checksum(path: Path) -> str:
    """SHA-256 of a file, 64 digits.

    Raises:
      InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise not_read(path, error) from error


def _file(address: Address, folder: Path) -> Path:
    path = folder / address.name
    note = _note_of(path)
    kept = _noted(note) if path.is_file() else ""
    if kept and kept.startswith(address.sha256):
        return path
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path.parent)
        if path.is_file() and not kept:
            return _accept(address, path, note)
        try:
            sha256 = receive(address, partial)
            _check(address, sha256)
            # A file without its note is ignored, so the two never disagree.
            note.unlink(missing_ok=True)
            put_in_place(partial, path)
            atomic_write(note, f"{sha256}  {path.name}\n")
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{address.url} cannot be stored in {folder}: {reason(error)}. The environment "
            f"variable {CACHE_VARIABLE} names another folder."
        ) from error
    _print_unknown(address, path, sha256)
    return path


def _accept(address: Address, path: Path, note: Path) -> Path:
    """File without a note, which was put there by hand, checked and noted."""
    sha256 = checksum(path)
    if not sha256.startswith(address.sha256):
        raise InputError(
            f"{path} was put there by hand and has the SHA-256 {sha256}, not {address.sha256}...: "
            f"it is damaged, incomplete or another file than {address.url}. Remove it, or put the "
            "right file there."
        )
    with path.open("rb") as file:
        check_content(address, file.read(512), 0)
    atomic_write(note, f"{sha256}  {path.name}\n")
    _print_unknown(address, path, sha256)
    return path


def _print_unknown(address: Address, path: Path, sha256: str) -> None:
    if address.sha256 or path.suffix in (".json", ".xml"):
        return
    PlainConsole(stderr=True).print(
        f"{path.name} has no known checksum. To make sure that you get the same file again, "
        f"add its checksum to the address: #sha256={sha256}",
        style="yellow",
    )


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _noted(note: Path) -> str:
    """Checksum of a fetched file; empty if its note is missing, incomplete or older than the file.

    A file that is newer than its note was put in the place of the fetched one by hand.
    """
    try:
        if note.with_suffix("").stat().st_mtime_ns > note.stat().st_mtime_ns:
            return ""
        found = re.match(r"([0-9a-f]{64})  ", note.read_text())
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""


def _check(address: Address, sha256: str) -> None:
    if sha256.startswith(address.sha256):
        return
    if address.pinned:
        raise InputError(
            f"{address.url} has the SHA-256 {sha256}, not #sha256={address.sha256}: "
            "it is another file than the one that was pinned, or was changed on its way."
        )
    raise InputError(
        f"{address.url} has the SHA-256 {sha256}, but its name states {address.sha256}...: it is "
        f"damaged or another file. If you want this file, pin it: #sha256={sha256}"
    )


def _remove_stale(folder: Path) -> None:
    """Removes partial files of processes that were killed."""
    for path in folder.glob(".*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
