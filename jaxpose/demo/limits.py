"""What a stranger may hand over: how much, how large, how long, and of which kinds.

Everything is decided by the first bytes and by what headers declare, before anything is decoded.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.image import declared_size, decode_photo
from jaxpose.media.video import open_video

GONE = "the upload is not kept any longer; hand it over again"

_MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Of the page.

    Attributes:
      upload_mb: of one upload, in millions of bytes.
      megapixels: of a photo, and of each frame of a film, in millions.
      film_seconds: what is longer is cut there.
      waiting: so many uploads may wait for the models; further ones are refused.
      stored_uploads: the files of so many uploads of the largest size may lie on the disk at once.
      kept_seconds: how long uploads and results are kept.
    """

    upload_mb: float = 64.0
    megapixels: float = 50.0
    film_seconds: float = 20.0
    waiting: int = 8
    stored_uploads: int = 16
    kept_seconds: float = 900.0

    def __post_init__(self) -> None:
        for name in ("upload_mb", "megapixels", "film_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be positive, not {getattr(self, name)}")

    @property
    def upload_bytes(self) -> int:
        """`upload_mb` in bytes."""
        return round(self.upload_mb * _MB)

    @property
    def stored_bytes(self) -> int:
        """All that may lie on the disk at once."""
        return self.stored_uploads * self.upload_bytes

    @property
    def frames(self) -> int:
        """At most so many of a film, whatever rate it declares."""
        return max(1, round(60 * self.film_seconds))


def read_upload(path: Path, limits: Limits) -> np.ndarray:
    """The photo in an upload, uint8 RGB `[H, W, 3]`.

    Raises:
      InputError: too many bytes or pixels, not a photo, damaged.
    """
    data = path.read_bytes() if _size(path, limits) else b""
    size = declared_size(data)
    if size is None:
        raise InputError("photos are taken as JPEG, PNG, WebP, GIF or BMP; convert it to one")
    _check_pixels(size, limits, "the photo has")
    return decode_photo(data)


def check_film(path: Path, limits: Limits) -> None:
    """Looks at the beginning of a film in an upload.

    Its kind is told by its bytes: FFmpeg would also open playlists, which name files to be read.

    Raises:
      InputError: too many bytes, or pixels in a frame, or not a film that is taken.
    """
    size = _size(path, limits)
    with path.open("rb") as file:
        head = file.read(12)
    if not size:
        raise InputError("the file is empty")
    if not _is_film(head):
        raise InputError("this is not a film in MP4, MOV, WebM, MKV or AVI; convert it to one")
    try:
        film = open_video(path, lambda skipped: None)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path}: ")) from None
    _check_pixels(film.hw, limits, "frames have")


def _is_film(head: bytes) -> bool:
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # QuickTime may lack the first
    matroska = head.startswith(b"\x1a\x45\xdf\xa3")
    avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    return head[4:8] in boxes or matroska or avi


def _size(path: Path, limits: Limits) -> int:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError(GONE) from None
    if size > limits.upload_bytes:
        raise InputError(
            f"the file has {size / _MB:.1f} MB; at most {limits.upload_mb:g} MB are taken"
        )
    return size


def _check_pixels(hw: tuple[int, int], limits: Limits, what: str) -> None:
    height, width = hw
    if height * width > limits.megapixels * 1e6:
        raise InputError(
            f"{what} {width} x {height} pixels; at most {limits.megapixels:g} million are taken, "
            "so make it smaller"
        )
