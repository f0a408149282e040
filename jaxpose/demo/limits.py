"""Limits of uploads: bytes, pixels, seconds, and kinds of files.

Everything is decided by the first bytes and by declarations in headers, before anything is decoded.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.image import declared_size, decode_image
from jaxpose.media.video import open_video

GONE = "the upload is not kept any longer; hand it over again"

_MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of the page.

    Attributes:
      max_upload_mb: size of one upload, in millions of bytes.
      max_megapixels: millions of pixels in an image, and in each frame of a video.
      max_video_seconds: length of a video; the rest of a longer one is left out.
      waiting: number of uploads that may wait for the models; further ones are refused.
      stored_uploads: number of uploads of the largest size that may be on the disk at once.
      kept_seconds: time for which uploads and results are kept.
    """

    max_upload_mb: float = 64.0
    max_megapixels: float = 50.0
    max_video_seconds: float = 20.0
    waiting: int = 8
    stored_uploads: int = 16
    kept_seconds: float = 900.0

    def __post_init__(self) -> None:
        for name in ("max_upload_mb", "max_megapixels", "max_video_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be positive, not {getattr(self, name)}")

    @property
    def upload_bytes(self) -> int:
        """`max_upload_mb` in bytes."""
        return round(self.max_upload_mb * _MB)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all files that may be on the disk at once."""
        return self.stored_uploads * self.upload_bytes

    @property
    def frames(self) -> int:
        """Largest number of frames of a video, whatever rate it declares."""
        return max(1, round(60 * self.max_video_seconds))


def read_upload(path: Path, limits: Limits) -> np.ndarray:
    """The image in an upload, uint8 RGB `[H, W, 3]`.

    Raises:
      InputError: too many bytes or pixels, not an image, damaged.
    """
    data = path.read_bytes() if _size(path, limits) else b""
    size = declared_size(data)
    if size is None:
        raise InputError("the image's header does not state its size; convert it to JPEG or PNG")
    _check_pixels(size, limits, "the image has")
    return decode_image(data)


def check_video(path: Path, limits: Limits) -> None:
    """Checks the beginning of a video in an upload.

    Its first bytes decide its kind: FFmpeg would also open playlists, which name files to be read.

    Raises:
      InputError: too many bytes, or pixels in a frame, or not a video of an accepted kind.
    """
    size = _size(path, limits)
    with path.open("rb") as file:
        head = file.read(12)
    if not size:
        raise InputError("the file is empty")
    if not _is_video(head):
        raise InputError("this is not a video in MP4, MOV, WebM, MKV or AVI; convert it to one")
    try:
        video = open_video(path, lambda skipped: None)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path}: ")) from None
    hw = video.hw
    video.close()
    _check_pixels(hw, limits, "frames have")


def _is_video(head: bytes) -> bool:
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
            f"the file has {size / _MB:.1f} MB; at most {limits.max_upload_mb:g} MB are taken"
        )
    return size


def _check_pixels(hw: tuple[int, int], limits: Limits, what: str) -> None:
    height, width = hw
    if height * width > limits.max_megapixels * 1e6:
        raise InputError(
            f"{what} {width} x {height} pixels; at most {limits.max_megapixels:g} million are "
            "taken, so make it smaller"
        )
