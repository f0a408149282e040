"""Sizes that video files state about themselves, to notice a file that was cut off."""

from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 10_000
_UNKNOWN = 2**56 - 1  # eight bytes of a Matroska size, all ones
# Bytes of a packet of a transport stream, and where its first one stands: plain (ISO 13818-1,
# 2.4.3.2), and with a time stamp before each, as camcorders and Blu-ray discs have it.
_PACKETS = ((188, 0), (192, 4))
_SYNC = 0x47


def cut_off(path: Path) -> str:
    """Sentence that a file was cut off, by its own headers; empty if it is whole, as far as known.

    A transport stream states no size: only a cut within a packet can be noticed.
    """
    if missing := missing_bytes(path):
        return f"the file is cut off: {missing:,} bytes are missing"
    with path.open("rb") as file:
        head = file.read(1024)
    for size, first in _PACKETS:
        starts = head[first::size]
        if len(starts) > 2 and set(starts) == {_SYNC} and path.stat().st_size % size:
            return "the file is cut off within a packet"
    return ""


def missing_bytes(path: Path) -> int:
    """Number of bytes that a file should have by its own headers and has not; 0 if none are known.

    For MP4 and MOV (the sizes of the outermost boxes, ISO 14496-12, 4.2), Matroska and WebM (the
    size of the segment, RFC 8794 and RFC 9559), and AVI (the size of the first RIFF chunk). Other
    files, and recordings that were never finished, do not state a size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(b"\x1a\x45\xdf\xa3"):
            end = _segment_end(head)
        elif head.startswith(b"RIFF") and head[8:12] == b"AVI ":
            end = 8 + int.from_bytes(head[4:8], "little")
            end = 0 if end >= 0xFFFFFFF0 else end
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _boxes_end(file, size)
        else:
            end = 0
    return max(0, end - size)


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Position at which the last of the outermost boxes ends."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # 0: up to the end of the file
            break
        place += length
        if place >= size:
            break
    return place


def _segment_end(head: bytes) -> int:
    """Position at which a Matroska segment ends; 0 if it states no size."""
    length, place = _number(head, 4)
    place += length
    if head[place : place + 4] != b"\x18\x53\x80\x67":
        return 0
    length, place = _number(head, place + 4)
    return 0 if length == _UNKNOWN else place + length


def _number(head: bytes, place: int) -> tuple[int, int]:
    """Number of variable length (RFC 8794, 4) at a place, and the place after it."""
    first = head[place] if place < len(head) else 0x80
    octets = 9 - first.bit_length() if first else 8
    value = int.from_bytes(head[place : place + octets]) & ((1 << 7 * octets) - 1)
    if value == (1 << 7 * octets) - 1:
        value = _UNKNOWN
    return value, place + octets
