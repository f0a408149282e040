"""Video of drawn people, for measuring prediction where there is no real video."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from jaxpose.data.synthetic import render
from jaxpose.deprecations import moved_names
from jaxpose.media.frames import Frame
from jaxpose.viz import VideoWriter

HW = (480, 640)
FPS = 25.0
_TALL = 240  # pixels


def draw_video(path: Path, frames: int, people: int) -> Path:
    """Writes an MPEG-4 video of drawn people who walk from side to side."""
    sprites = [_sprite(number) for number in range(people)]
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    ground = np.stack([rows // 4, columns // 4, (rows + columns) // 8], axis=-1).astype(np.uint8)
    with VideoWriter(path, FPS, codec="mp4v") as writer:
        for index in range(frames):
            image = ground.copy()
            for (x, y, w, h), one in zip(_boxes(index, people), sprites, strict=True):
                image[y : y + h, x : x + w] = one
            writer.write(image)
    return path


def places(frame: Frame, people: int) -> np.ndarray:
    """Boxes `[people, 4]` (x, y, w, h) of the people drawn in a frame."""
    return np.array(list(_boxes(frame.index, people)), np.float32).reshape(-1, 4)


def _boxes(index: int, people: int) -> Iterator[tuple[int, int, int, int]]:
    width = _TALL * 3 // 4
    for number in range(people):
        swing = np.sin(2 * np.pi * (index / 200 + number / people))
        x = round((HW[1] - width) * (0.5 + 0.5 * swing))
        yield x, (40 + 60 * number) % (HW[0] - _TALL), width, _TALL


def _sprite(number: int) -> np.ndarray:
    image = np.asarray(render(0, number)["image"])
    return cv2.resize(image, (_TALL * 3 // 4, _TALL), interpolation=cv2.INTER_AREA)


__getattr__ = moved_names(__name__)
