"""Reader of image files: correct for every kind of file that a user may have.

The format is detected by content, never by name. The result is always upright, RGB and eight bits
per channel, so that the rest of the package does not depend on file formats.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError, nearest, not_read
from jaxpose.file_limits import IMAGE, check_bytes

MAX_MEGAPIXELS = 128.0
"""Images with more megapixels are refused before they are decoded (128 are 0.4 GB of RGB)."""

_VIDEO = (
    "this is a video, not an image. Videos are known by their suffix: rename it to .mp4, .mkv or "
    ".avi"
)

LIMIT_VARIABLE = "JAXPOSE_MAX_MEGAPIXELS"
"""Environment variable with another limit; `--max-megapixels` sets it for a command."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of files that are meant to be images, even if their content is not."""

_HEAD_BYTES = 32
_TIFF = (b"II*\0", b"MM\0*")

# JPEG markers (ITU-T T.81, table B.1).
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BETWEEN_SCANS = frozenset({0xC4, 0xDA, 0xD9, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
# Bytes after 0xFF: 0 is the value 0xFF itself, 0xFF is fill, 0xD0 to 0xD7 are restarts.
_IS_MARKER = np.ones(256, bool)
_IS_MARKER[[0x00, 0xFF, *range(0xD0, 0xD8)]] = False


def read_image(path: str | Path) -> np.ndarray:
    """Reads an image file as uint8 RGB `[H, W, 3]`, upright.

    The EXIF orientation is applied. CMYK JPEG, grey, palette and 16-bit files are converted to RGB;
    16-bit values are scaled (65535 -> 255) and rounded. Transparent PNG, WebP and TIFF are blended
    with white, as viewers do. Of an animation the first frame is read, of a TIFF the first page.

    Raises `InputError` with the file's path if it is missing, a folder, empty, not an image,
    damaged (including a JPEG that stops early, which decoders silently fill with grey) or has more
    than `max_pixels()` pixels.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        return decode_image(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def decode_image(data: bytes) -> np.ndarray:
    """Decodes the content of an image file to uint8 RGB `[H, W, 3]`; see `read_image`.

    Raises:
      InputError: the content is not an image, is damaged, or is too large.
    """
    kind = _kind(data)
    if kind == "JPEG":
        return _decode_jpeg(data)
    check_size(*(_header_size(kind, data) or (0, 0)))
    if kind in ("PNG", "WebP"):
        return _decode_with_alpha(kind, data)
    # OpenCV lays transparent images of these formats on black, and AVIF in the order BGR.
    layered = kind in ("TIFF", "AVIF", "JPEG 2000")
    image = _imdecode(data, unchanged=True) if layered else None
    if image is not None and image.shape[2:] == (4,):
        return _rgb_upright(image, b"")  # OpenCV turns every TIFF
    image = _imdecode(data)
    if image is None:
        raise InputError(f"this {kind} is damaged, or OpenCV does not support its variant")
    return image


def is_image_file(path: Path) -> bool:
    """True if a file's first bytes are those of an image, or its suffix is one of an image.

    An image in a format that cannot be read is one, too: reading it states the reason.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        _kind(head)
    except InputError:
        return _is_heic(head)
    except OSError:
        return False
    return True


def page_count(path: Path) -> int:
    """Number of pages of a TIFF file, or of images of an animated PNG or WebP; 1 for others.

    Raises:
      InputError: as `read_image`, for a file that cannot be opened.
    """
    data = _read_bytes(path)
    if data.startswith(b"\x89PNG"):
        return max(sum(name == b"fcTL" for name, _ in _png_chunks(data)), 1)
    if data.startswith(b"RIFF"):
        return max(sum(name == b"ANMF" for name, _ in _webp_chunks(data)), 1)
    if not data.startswith(_TIFF):
        return 1
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    # Each directory (TIFF 6.0, section 2) ends in the offset of the next; 0 is the end.
    pages, offset, seen = 0, int.from_bytes(data[4:8], order), set[int]()
    while offset and offset not in seen and offset + 2 <= len(data):
        seen.add(offset)
        pages += 1
        entries = int.from_bytes(data[offset : offset + 2], order)
        end = offset + 2 + 12 * entries
        offset = int.from_bytes(data[end : end + 4], order)
    return max(pages, 1)


def is_tiff(path: Path) -> bool:
    """True if the content of a file begins as a TIFF."""
    with path.open("rb") as file:
        return file.read(4) in _TIFF


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Reads (height, width) from the header of an image file's content, before EXIF rotation.

    None for a header that does not state it. Nothing is decoded.

    Raises:
      InputError: as `decode_image`, where the first bytes or a JPEG's markers show the fault.
    """
    kind = _kind(data)
    if kind == "JPEG":
        return _walk_jpeg(data)[:2]
    return _header_size(kind, data)


def exif_orientation(path: Path) -> int:
    """EXIF orientation of an image file, 1 to 8 (EXIF 2.32, 4.6.4 A); 1 (upright) if it has none.

    Raises:
      InputError: the file is missing, cannot be read or is not an image.
    """
    data = _read_bytes(path)
    blocks = {"JPEG": _jpeg_exif, "PNG": _png_exif, "WebP": _webp_exif}
    block = blocks.get(_kind(data))
    found = _orientation(block(data)) if block else 1
    return found if found in range(1, 9) else 1


def on_white(image: np.ndarray) -> np.ndarray:
    """Blends uint8 `[H, W, 4]` with an alpha channel onto white: `[H, W, 3]` in the same order."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def missing(path: Path) -> str:
    """Message for a path that does not exist: its first missing part, and similar names."""
    absent = path
    while not absent.parent.exists():
        absent = absent.parent
    try:
        beside = os.listdir(absent.parent)
    except OSError:
        beside = []
    hint = nearest(absent.name, (name for name in beside if not name.startswith(".")))
    notes = [] if absent == path else [f"{absent} does not exist"]
    notes += [hint.strip().replace("Did", "did", 1)] if hint else []
    return f"{path} does not exist" + (f" ({'; '.join(notes)})" if notes else "")


def _read_bytes(path: Path) -> bytes:
    if not path.exists():
        raise InputError(missing(path))
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an image")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            _kind(head)  # before a video of many gigabytes is read
            check_bytes(path, IMAGE)
            return head + file.read()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise not_read(path, error) from error


def _kind(head: bytes) -> str:
    """Name of the format, from the first bytes of the content."""
    if not head:
        raise InputError("the file is empty")
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if head.startswith(b"BM"):
        return "BMP"
    if head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    if head[4:8] == b"ftyp":
        if head[8:12] in (b"avif", b"avis"):
            return "AVIF"
        if _is_heic(head):
            raise InputError("HEIC images cannot be read; convert it to JPEG or PNG")
        raise InputError(_VIDEO)
    if head.startswith(b"\x1aE\xdf\xa3") or (head.startswith(b"RIFF") and head[8:12] == b"AVI "):
        raise InputError(_VIDEO)  # Matroska and WebM; AVI
    if re.match(rb"\s*(<!|<html|<\?xml|version https://git-lfs|\{|\[)", head, re.IGNORECASE):
        start = head.decode("utf-8", "replace").split("\n")[0]
        raise InputError(f"this is a text file, not an image; it begins with {start!r}")
    raise InputError(
        f"not an image in a known format; it begins with the bytes {head[:8].hex(' ')}"
    )


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"hevc")


def _imdecode(data: bytes, *, unchanged: bool = False) -> np.ndarray | None:
    """Decodes with OpenCV; None where it fails.

    OpenCV rejects truncated data in memory; `imread` does not.
    """
    import cv2

    flag = cv2.IMREAD_UNCHANGED if unchanged else cv2.IMREAD_COLOR_RGB
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def max_pixels() -> int:
    """Largest number of pixels of an image or frame that is decoded.

    The limit is in the environment, so that the processes of `jaxpose prepare` have it, too.

    Raises:
      InputError: the environment variable is not a positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        megapixels = float(text) if text else MAX_MEGAPIXELS
    except ValueError:
        megapixels = 0.0
    if not 0 < megapixels < 1e6:
        raise InputError(f"{LIMIT_VARIABLE} is {text!r}: give a number of megapixels, such as 200")
    return int(megapixels * 1e6)


def check_size(height: int, width: int) -> None:
    """Check the size of an image or frame before it is decoded.

    Raises:
      InputError: it has more pixels than `max_pixels()`.
    """
    if height * width > (limit := max_pixels()):
        raise InputError(
            f"{width} x {height} pixels are more than the limit of {limit / 1e6:g} megapixels; "
            f"make it smaller, or raise the limit with --max-megapixels or {LIMIT_VARIABLE}"
        )


def _header_size(kind: str, data: bytes) -> tuple[int, int] | None:
    """Reads (height, width) from the header; None if it does not state them."""
    if kind == "PNG":
        return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
    if kind == "GIF":
        return int.from_bytes(data[8:10], "little"), int.from_bytes(data[6:8], "little")
    if kind == "BMP":
        height = int.from_bytes(data[22:26], "little", signed=True)  # negative: rows run downwards
        return abs(height), int.from_bytes(data[18:22], "little")
    if kind == "WebP":
        return _webp_size(data)
    if kind == "TIFF":
        return _tiff_size(data)
    if kind == "JPEG 2000":
        return _jpeg2000_size(data)
    if kind == "AVIF":
        return _avif_size(data)
    return None


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """Reads (height, width) from the first directory (TIFF 6.0, section 8: tags 257 and 256)."""
    tags = _tags(data)
    return (tags[257], tags[256]) if 256 in tags and 257 in tags else None


def _jpeg2000_size(data: bytes) -> tuple[int, int] | None:
    """Reads (height, width) from the box `ihdr` (ISO 15444-1, I.5.3.1) or the segment SIZ."""
    box = data.find(b"ihdr")
    if box >= 0:
        return int.from_bytes(data[box + 4 : box + 8]), int.from_bytes(data[box + 8 : box + 12])
    segment = data.find(b"\xff\x51")
    if segment < 0:
        return None
    size = data[segment + 6 : segment + 14]
    return int.from_bytes(size[4:]), int.from_bytes(size[:4])


def _avif_size(data: bytes) -> tuple[int, int] | None:
    """Reads the largest (height, width) of the boxes `ispe` (ISO 23008-12, 6.5.3)."""
    places = [match.start() for match in re.finditer(b"ispe", data[: 2**16])]
    sizes = [(data[p + 12 : p + 16], data[p + 8 : p + 12]) for p in places]
    numbers = [(int.from_bytes(height), int.from_bytes(width)) for height, width in sizes]
    return max(numbers, key=math.prod, default=None)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Reads (height, width) from the first chunk (RFC 9649): extended, lossless or lossy."""
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    if data[12:16] == b"VP8L":
        sides = int.from_bytes(data[21:25], "little")  # 14 bits each, minus one
        return (sides >> 14 & 0x3FFF) + 1, (sides & 0x3FFF) + 1
    sides = int.from_bytes(data[26:30], "little")  # 14 bits each, followed by two bits of a scale
    return sides >> 16 & 0x3FFF, sides & 0x3FFF


def _decode_jpeg(data: bytes) -> np.ndarray:
    height, width, end = _walk_jpeg(data)
    check_size(height, width)
    if end is not None:
        image = _imdecode(data)
    else:
        image = _decode_endless_jpeg(data)
        if image is None:
            raise InputError(
                f"the JPEG is cut off: {len(data):,} bytes and no end marker; copy it again"
            )
    if image is None:
        raise InputError("the JPEG is damaged, or OpenCV does not support its variant")
    return image


def _walk_jpeg(data: bytes) -> tuple[int, int, int | None]:
    """Reads (height, width, position of the end marker; None if the file stops before it)."""
    octets = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(octets[:-1] == 0xFF)
    places = places[_IS_MARKER[octets[places + 1]]]
    height = width = 0
    position, in_scan = 2, False
    while True:
        index = np.searchsorted(places, position)
        if index == len(places):
            return height, width, None
        position = int(places[index])
        marker = data[position + 1]
        if in_scan and marker not in _BETWEEN_SCANS:
            raise InputError(f"the JPEG is damaged at byte {position:,}; copy it again")
        if marker == _END_OF_IMAGE:
            return height, width, position
        if marker in _START_OF_FRAME:
            height = int.from_bytes(data[position + 5 : position + 7])
            width = int.from_bytes(data[position + 7 : position + 9])
        in_scan = marker == _START_OF_SCAN
        position += 2 + int.from_bytes(data[position + 2 : position + 4])


def _decode_endless_jpeg(data: bytes) -> np.ndarray | None:
    """Decodes a JPEG of which only the end marker is missing, as some cameras write it.

    If every pixel is present, bytes added at the end change nothing; if the file is cut, the
    decoder reads them as pixels.
    """
    data = data.rstrip(b"\xff").rstrip(b"\0")
    end = bytes([0xFF, _END_OF_IMAGE])
    image = _imdecode(data + end)
    filled = _imdecode(data + b"\x5a\xc3" * 256 + end)
    if image is None or filled is None or not np.array_equal(image, filled):
        return None
    return image


def _decode_with_alpha(kind: str, data: bytes) -> np.ndarray:
    image = _imdecode(data, unchanged=True)
    if image is None:
        raise InputError(f"the {kind} is cut off or damaged; copy it again")
    # OpenCV does not rotate images that it reads unchanged, and before 5.0 no WebP.
    return _rgb_upright(image, _png_exif(data) if kind == "PNG" else _webp_exif(data))


def _rgb_upright(image: np.ndarray, exif: bytes) -> np.ndarray:
    """Convert an image as OpenCV reads it unchanged (grey, BGR or BGRA) to upright RGB, 8 bits."""
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[-1] == 4:
        image = on_white(image)
    image = np.broadcast_to(image[..., ::-1], (*image.shape[:2], 3))
    return np.ascontiguousarray(_turn(image, _orientation(exif)))


def _jpeg_exif(data: bytes) -> bytes:
    position = 2
    while data[position : position + 1] == b"\xff":
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            return data[position + 10 : position + 2 + length]
        if marker == _START_OF_SCAN or length < 2:
            break
        position += 2 + length
    return b""


def _png_exif(data: bytes) -> bytes:
    return next((bytes(part) for name, part in _png_chunks(data) if name == b"eXIf"), b"")


def _webp_exif(data: bytes) -> bytes:
    found = next((bytes(part) for name, part in _webp_chunks(data) if name == b"EXIF"), b"")
    return found.removeprefix(b"Exif\0\0")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk of a PNG file."""
    position, view = 8, memoryview(data)
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        yield data[position + 4 : position + 8], view[position + 8 : position + 8 + length]
        position += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk of a WebP file."""
    position, view = 12, memoryview(data)
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        yield data[position : position + 4], view[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _orientation(exif: bytes) -> int:
    """Reads tag 0x0112 of the first directory of a TIFF-shaped EXIF block; 1 (upright) if none."""
    return _tags(exif).get(0x0112, 1)


def _tags(data: bytes) -> dict[int, int]:
    """Numbers of the first directory of a TIFF-shaped block (TIFF 6.0, section 2), by tag."""
    order: Literal["little", "big"] | None
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(data[:4])  # type: ignore[assignment]
    if order is None:
        return {}

    def number(position: int, size: int) -> int:
        return int.from_bytes(data[position : position + size], order)

    directory = number(4, 4)
    tags = {}
    for entry in range(number(directory, 2)):
        position = directory + 2 + 12 * entry
        if position + 12 > len(data):
            break
        long = number(position + 2, 2) == 4  # else 16 bits
        tags[number(position, 2)] = number(position + 8, 4 if long else 2)
    return tags


def _turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes an EXIF orientation (EXIF 2.32, 4.6.4 A): 5 to 8 also swap rows and columns."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


__getattr__ = moved_names(__name__)
