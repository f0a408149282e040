"""Addresses of weights: their URL, file name and expected checksum."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from jaxpose.errors import InputError

# Endings of weight files; any other address is a release folder.
_FILES = (
    *(".safetensors", ".npz", ".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar", ".json"),
    *(".tflite", ".xml", ".pb"),
)
# `-fcb2599b_20230126.pth` (OpenMMLab), `-abcdef12.pth` (torch.hub): first digits of the SHA-256.
_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:_\d{8})?\.[a-z]+$")
_DATE = re.compile(r"(19|20)\d\d[01]\d[0-3]\d")
MIRROR_VARIABLE = "JAXPOSE_MIRROR"
"""Environment variable with the address of a mirror, such as `https://mirror/models`."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """Address of weights, `https://`.

    Attributes:
      url: the URL without the fragment.
      name: name for the local file, made safe; empty for a release folder.
      sha256: first digits of the file's expected SHA-256, in lower case; empty if unknown.
      pinned: True if the whole checksum was given with the address, and not only in the file name.
    """

    url: str
    name: str
    sha256: str = ""
    pinned: bool = False

    @property
    def host(self) -> str:
        """Host name."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def request_url(self) -> str:
        """URL that the file is fetched from: `url`, or the same host and path under the mirror.

        With `JAXPOSE_MIRROR=https://mirror/models`, the file `https://host/a/b.pth` is fetched from
        `https://mirror/models/host/a/b.pth`. Its checksum and its place in the cache do not change.

        Raises:
          InputError: the mirror's address is not https://.
        """
        mirror, parts = os.environ.get(MIRROR_VARIABLE, "").rstrip("/"), urlsplit(self.url)
        if not mirror or is_loopback(parts.hostname):
            return self.url
        scheme, host = urlsplit(mirror).scheme, urlsplit(mirror).hostname
        if scheme != "https" and not (scheme == "http" and (self.pinned or is_loopback(host))):
            raise InputError(
                f"{MIRROR_VARIABLE} is {mirror!r}; it must be an https:// address, such as "
                "https://mirror.example.org/models."
            )
        query = f"?{parts.query}" if parts.query else ""
        return f"{mirror}/{parts.netloc.rpartition('@')[2]}{parts.path}{query}"

    @property
    def is_folder(self) -> bool:
        """True for the address of a release folder, False for a file."""
        return not self.name

    def inside(self, name: str) -> "Address":
        """Address of a file in a release folder; the checksum is kept for the weights only."""
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))
        inner = replace(self, url=url, name=name)
        return inner if name.endswith(".safetensors") else replace(inner, sha256="", pinned=False)

    def beside(self, name: str) -> "Address":
        """Address of another file in the folder of this file, without a checksum."""
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(name)}"))
        return replace(self, url=url, name=name, sha256="", pinned=False)

    def with_suffix(self, suffix: str) -> "Address":
        """Address of a file beside this one, with the same stem and without a checksum."""
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(path=f"{parts.path.rpartition('.')[0]}{suffix}"))
        name = f"{self.name.rpartition('.')[0]}{suffix}"
        return replace(self, url=url, name=name, sha256="", pinned=False)


def address_of(where: str | Path) -> Address | None:
    """Parses `where` as an address; None for a path.

    `#sha256=` and 64 digits after an address pin the file. Otherwise the eight or more digits that
    OpenMMLab and torch.hub put into a file's name are checked. Plain `http://` can be changed on
    the way, so it must be pinned, except on this machine.

    Raises:
      InputError: another fragment, no host, `http://` without a checksum, or an unsupported scheme.
    """
    text = str(where)
    # `Path` has merged the two slashes into one.
    match = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+", text)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme not in ("http", "https"):
        raise InputError(
            f"{text}: weights come from a path or an https:// address, not {scheme}://"
        )
    parts = urlsplit(f"{scheme}://{text[match.end() :]}")
    pin = _pin(text, parts.fragment)
    if scheme == "http" and not pin and not is_loopback(parts.hostname):
        raise InputError(
            f"{text}: a file sent by http:// can be changed on its way. Use https://, or pin the "
            "file with #sha256= and its 64 digits."
        )
    name = re.sub(r"[^\w.-]", "_", unquote(parts.path).rpartition("/")[2])
    if not name.lower().endswith(_FILES):
        name = ""
    url = urlunsplit(parts._replace(fragment=""))
    return Address(url, name, pin or _named(name), pinned=bool(pin))


def is_loopback(host: str | None) -> bool:
    """True if the host is this machine."""
    return host in _LOOPBACK


def _pin(text: str, fragment: str) -> str:
    if not fragment:
        return ""
    found = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if found is None:
        raise InputError(f"{text}: after # must be sha256= and 64 digits, not {fragment!r}")
    return found[1].lower()


def _named(name: str) -> str:
    found = _IN_NAME.search(name)
    return "" if found is None or _DATE.fullmatch(found[1]) else found[1]
