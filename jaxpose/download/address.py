"""What the address of weights says: where they are, what they are called, what they must be."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from jaxpose.errors import InputError

# Names of files that hold weights; the address of anything else is that of a release folder.
_FILES = (".safetensors", ".npz", ".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar", ".json")
# `-fcb2599b_20230126.pth` (OpenMMLab), `-abcdef12.pth` (torch.hub): how the SHA-256 begins.
_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:_\d{8})?\.[a-z]+$")
_DATE = re.compile(r"(19|20)\d\d[01]\d[0-3]\d")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """An `https://` address of weights.

    Attributes:
      url: without the fragment.
      name: of the file, fit to be one here; empty for a release folder.
      sha256: the checksum's first digits that the file must have, in lower case; empty if nothing
        says.
      pinned: the whole checksum was given with the address, not just read off the file's name.
    """

    url: str
    name: str
    sha256: str = ""
    pinned: bool = False

    @property
    def host(self) -> str:
        """The machine's name."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def is_folder(self) -> bool:
        """Whether it is the address of a release folder rather than of a file."""
        return not self.name

    def inside(self, name: str) -> "Address":
        """The address of a file in a release folder; a checksum is that of the weights."""
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))
        inner = replace(self, url=url, name=name)
        return inner if name.endswith(".safetensors") else replace(inner, sha256="", pinned=False)


def address_of(where: str | Path) -> Address | None:
    """The address that `where` is, or None for a path.

    `#sha256=` and 64 digits behind an address pin the file. Without, the eight or more digits that
    OpenMMLab and torch.hub put into a file's name count. What may be changed on its way, plain
    `http://`, has to be pinned, except on this machine itself.

    Raises:
      InputError: another fragment, no host, `http://` without a checksum, or a scheme that weights
        do not come by.
    """
    text = str(where)
    # A `Path` has made one of the two slashes.
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
            f"{text}: what comes by http:// can be changed on its way. Use https://, or pin the "
            "file with #sha256= and its 64 digits."
        )
    name = re.sub(r"[^\w.-]", "_", unquote(parts.path).rpartition("/")[2])
    if not name.lower().endswith(_FILES):
        name = ""
    url = urlunsplit(parts._replace(fragment=""))
    return Address(url, name, pin or _named(name), pinned=bool(pin))


def is_loopback(host: str | None) -> bool:
    """Whether that is this machine."""
    return host in _LOOPBACK


def _pin(text: str, fragment: str) -> str:
    if not fragment:
        return ""
    found = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if found is None:
        raise InputError(f"{text}: behind # stands sha256= and its 64 digits, not {fragment!r}")
    return found[1].lower()


def _named(name: str) -> str:
    found = _IN_NAME.search(name)
    return "" if found is None or _DATE.fullmatch(found[1]) else found[1]
