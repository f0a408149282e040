"""Transfer of one file over HTTP: its limits, and messages when it fails."""

import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

import jaxpose
from jaxpose.console import PlainConsole
from jaxpose.download.address import Address, is_loopback
from jaxpose.errors import InputError

MAX_BYTES = 16 * 2**30
"""Larger files are refused; the largest published ViT takes a quarter of it."""

_BLOCK = 2**20
_TIMEOUT = 30.0  # seconds without a byte
_CONNECT = 8.0  # seconds until the host responds to a connection
_ATTEMPTS = 4
_PAUSE = 1.0  # seconds before the second attempt, then longer
# Beginning of an OpenVINO model, which is XML as some web pages are.
_OPENVINO = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<net\b")
_ELSEWHERE = "Download the file elsewhere and give its path."


class Unreachable(InputError):
    """Error for a file whose host cannot be reached, or breaks off.

    Attributes:
      reason: first part of the message, without advice.
    """

    def __init__(self, reason: str, advice: str) -> None:
        """Joins both to the message."""
        super().__init__(f"{reason} {advice}")
        self.reason = reason


class _Broken(Exception):
    """Connection broken in the middle of the file."""


def receive(address: Address, path: Path) -> str:
    """Writes the file of an address to `path` and returns its SHA-256.

    A broken connection is resumed at the same byte, if the server supports it.

    Raises:
      InputError: the host cannot be reached, refuses, sends a web page or too much, or redirects to
        a forbidden address.
      OSError: the file cannot be written.
    """
    opener, tag, why = _opener(address), "", ""
    with path.open("wb") as file, _progress() as progress:
        bar, digest = progress.add_task(address.name, total=None), hashlib.sha256()
        attempt = furthest = 0
        while attempt < _ATTEMPTS:
            time.sleep(attempt * _PAUSE)
            attempt += 1
            try:
                with _opened(opener, address, file.tell(), tag) as response:
                    if response.status != http.client.PARTIAL_CONTENT:
                        file.seek(0)
                        file.truncate()
                        digest = hashlib.sha256()
                    length = response.headers.get("Content-Length", "")
                    total = file.tell() + int(length) if length.isdecimal() else None
                    _check_room(address, total, path)
                    tag = response.headers.get("ETag", "")
                    progress.update(bar, total=total, completed=file.tell())
                    while block := _read(response):
                        check_content(address, block, file.tell())
                        file.write(block)
                        digest.update(block)
                        progress.update(bar, completed=file.tell())
                if total is None or file.tell() >= total:
                    return digest.hexdigest()
                why = f"after {file.tell():,} of {total:,} bytes"
            except _Broken as error:
                why = f"after {file.tell():,} bytes ({error})"
            if file.tell() >= furthest + _BLOCK:  # it breaks, but it gets on
                attempt, furthest = 0, file.tell()
    raise Unreachable(f"{address.url} broke off {why}, {_ATTEMPTS} times.", _ELSEWHERE)


class _Https(urllib.request.HTTPSHandler):
    """Opens `https://` addresses; waits less for a connection than for bytes."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Opens an address over `_Connection`."""
        return self.do_open(_Connection, request)  # type: ignore[arg-type]


class _Connection(http.client.HTTPSConnection):
    """Connection that gives up after `_CONNECT` seconds if the host does not respond.

    Without a network, a firewall often drops what is sent.
    """

    def connect(self) -> None:
        """Connects."""
        usual, self.timeout = self.timeout, _CONNECT
        super().connect()
        self.timeout = usual
        self.sock.settimeout(usual)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to `https://`; to `http://` only for pinned files or on this machine."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """Redirects as the parent class does, or raises `InputError`."""
        to = urlsplit(newurl)
        here = is_loopback(to.hostname) and is_loopback(
            urlsplit(self._address.request_url).hostname
        )
        if to.scheme != "https" and not (to.scheme == "http" and (self._address.pinned or here)):
            raise InputError(
                f"{self._address.url} redirects to {newurl}, but weights need https://. "
                f"{_ELSEWHERE}"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: Address) -> urllib.request.OpenerDirector:
    """Opener of `http` and `https` only: no files, no FTP."""
    host = urlsplit(address.request_url).hostname
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if is_loopback(host) else None),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        _Https(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(address),
    ):
        opener.add_handler(handler)
    return opener


def _opened(opener: urllib.request.OpenerDirector, address: Address, done: int, tag: str) -> Any:
    """Response from byte `done` on, if the server still has the same file (`tag`)."""
    headers = {"User-Agent": f"jaxpose/{jaxpose.__version__}", "Accept-Encoding": "identity"}
    if done and tag.startswith('"'):
        headers |= {"Range": f"bytes={done}-", "If-Range": tag}
    request = urllib.request.Request(address.request_url, headers=headers)
    try:
        return opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        raise InputError(_refused(address, error)) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        if done:
            raise _Broken(why) from None
        host = urlsplit(address.request_url).netloc.rpartition("@")[2]
        raise Unreachable(
            f"cannot reach {host}: {why}.",
            f"Download {address.url} elsewhere and give the path of the file.",
        ) from None


def _refused(address: Address, error: urllib.error.HTTPError) -> str:
    if error.code in (401, 403):
        why = "access needs a login or is forbidden"
    elif 300 <= error.code < 400:
        why = f"a redirect: {error.reason}"
    elif error.code == 404 and address.name == "config.json":
        why = "so this is not a release folder; names of weight files end in .pth or similar"
    else:
        why = error.reason
    host = urlsplit(address.request_url).netloc.rpartition("@")[2]
    return f"{host} responds to {address.request_url} with {error.code}: {why}. {_ELSEWHERE}"


def _read(response: Any) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from None


def _check_room(address: Address, total: int | None, path: Path) -> None:
    """Checks the free disk space before the download."""
    if total is None:
        return
    if total > MAX_BYTES:
        raise InputError(_too_large(address))
    if total > (free := shutil.disk_usage(path.parent).free):
        raise InputError(
            f"{address.url} has {total:,} bytes, and {path.parent} room for {free:,}. Make room, "
            "or name another folder with the environment variable JAXPOSE_CACHE."
        )


def check_content(address: Address, block: bytes, done: int) -> None:
    """Checks the bytes of a file from byte `done` on.

    Raises:
      InputError: they are a web page, or more than `MAX_BYTES`.
    """
    if not done and block.lstrip().startswith(b"<") and not _OPENVINO.match(block):
        raise InputError(
            f"{address.url} is a web page, not a checkpoint. Give the direct address of the file, "
            "or download it elsewhere, after a login if the site needs one, and give its path."
        )
    if done + len(block) > MAX_BYTES:
        raise InputError(_too_large(address))


def _too_large(address: Address) -> str:
    return f"{address.url} has more than {MAX_BYTES / 2**30:.0f} GiB: too large for a pose model"


@contextmanager
def _progress() -> Iterator[Progress]:
    console = PlainConsole(stderr=True)
    with Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress
