"""A contact sheet of what `jaxpose predict` drew: one look over a folder or a film."""

import math
from pathlib import Path

import cv2
import numpy as np

from jaxpose.infer.people import People
from jaxpose.viz import contact_sheet, save_image

_MOST = 24
_SIDE = 360  # pixels, the longer side of a cell


class Overview:
    """Keeps small copies of pictures spread evenly over all of them."""

    def __init__(self, count: int | None) -> None:
        """Of `count` pictures; None if nobody knows how many, which keeps the first ones."""
        self._step = max(1, math.ceil((count or 0) / _MOST))
        self._seen = 0
        self._cells: list[np.ndarray] = []
        self._captions: list[str] = []

    def add(self, people: People, drawn: np.ndarray) -> None:
        """Takes a drawn picture, or passes it over."""
        wanted = self._seen % self._step == 0 and len(self._cells) < _MOST
        self._seen += 1
        if not wanted:
            return
        height, width = drawn.shape[:2]
        zoom = min(1.0, _SIDE / max(height, width))
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        self._cells.append(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA))
        seconds = "" if people.seconds is None else f" {people.seconds:.1f} s"
        self._captions.append(f"{Path(people.source).name}{seconds}")

    def save(self, path: Path) -> None:
        """Writes the sheet, if there is anything to see."""
        if self._cells:
            save_image(path, contact_sheet(self._cells, captions=self._captions))
