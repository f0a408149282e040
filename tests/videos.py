"""Small videos written by PyAV, with a number in each frame: uneven, turned, damaged, cut off."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

HW = (48, 64)


def numbered(index: int, hw: tuple[int, int] = HW) -> np.ndarray:
    """A frame whose brightness tells its number, up to 30."""
    return np.full((*hw, 3), 8 * index, np.uint8)


def number_of(image: np.ndarray) -> int:
    return round(image.mean() / 8)


def write_video(
    path: Path,
    images: Sequence[np.ndarray] | int = 30,
    times: Sequence[float] | None = None,
    *,
    rate: Fraction | int = 10,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    stated_rate: bool = True,
    rotation: tuple[int, bool] | None = None,
) -> Path:
    """Writes images (or so many numbered ones) at even or at given times in seconds.

    `rotation` is a display matrix: degrees counter-clockwise, and whether it mirrors.
    """
    images = [numbered(i) for i in range(images)] if isinstance(images, int) else images
    with av.open(str(path), "w", options=container or {}) as file:
        stream: Any = file.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        default = {
            "libx264": {"g": "10", "qp": "0", "preset": "ultrafast"},
            "mpeg4": {"qmin": "1", "qmax": "2"},
        }.get(codec, {})
        stream.options = {**default, **(options or {})}
        unit = Fraction(1, 90_000) if times is not None else 1 / Fraction(rate)
        if times is not None:
            stream.codec_context.time_base = unit
        if rotation is not None:
            degrees, mirrored = rotation
            stream.set_display_rotation(degrees, hflip=mirrored)
        if not stated_rate:
            stream.codec_context.framerate = Fraction(0, 1)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index if times is None else round(times[index] / unit)
            frame.time_base = unit
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def damage(path: Path, frames: Sequence[int], start: int = 0) -> Path:
    """Overwrites the packets of these frames (in the order of the file) with zeros."""
    with av.open(str(path)) as file:
        packets = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for frame in frames:
        place, size = packets[frame]
        data[place + start : place + size] = bytes(size - start)
    path.write_bytes(data)
    return path
