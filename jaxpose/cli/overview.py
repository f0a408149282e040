"""Sheets that `jaxpose predict` draws: an overview of all frames, and heatmaps of images."""

import math
from pathlib import Path

import cv2
import numpy as np

from jaxpose.counts import counted
from jaxpose.results.people import People
from jaxpose.tasks.bottomup.predictor import ImagePredictor
from jaxpose.tasks.topdown.predictor import Predictor
from jaxpose.viz import contact_sheet, draw_heatmaps, save_image

_MOST = 24
_SIDE = 360  # pixels, the longer side of a cell
_ROW = 6  # people side by side


class Overview:
    """Contact sheet of small copies of drawn frames, spread evenly over all of them."""

    def __init__(self, count: int | None) -> None:
        """For `count` frames; None is an unknown number, of which the first frames are kept."""
        self._step = max(1, math.ceil((count or 0) / _MOST))
        self._seen = 0
        self._cells: list[np.ndarray] = []
        self._captions: list[str] = []

    def add(self, people: People, drawn: np.ndarray) -> None:
        """Keeps a small copy of a drawn frame, or skips it."""
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
        """Writes the sheet, unless it is empty."""
        if self._cells:
            save_image(path, contact_sheet(self._cells, captions=self._captions))


class Heatmaps:
    """Writer of sheets with the crops of an image's people and the model's heatmaps over them."""

    def __init__(
        self, predictor: Predictor | ImagePredictor, folder: Path, whole_images: bool = False
    ) -> None:
        """Writes into `folder`, with a predictor of a model that has maps.

        `whole_images`: the model takes whole images, so a sheet is one image.
        """
        self._predictor = predictor
        self._folder = folder
        self._whole_images = whole_images

    def write(self, people: People, image: np.ndarray, name: str) -> None:
        """Writes a sheet of the first 24 people, numbered as in the files; none without people.

        The sheet of a model of whole images is the letterboxed image, with or without people.
        """
        if not len(people) and not self._whole_images:
            return
        codec = self._predictor.codec
        cells = []
        for crop, maps in zip(*self._predictor.maps(image, people.boxes_xywh[:_MOST]), strict=True):
            zoom = max(1, round(_SIDE / max(crop.shape)))
            large = cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
            cells.append(draw_heatmaps(large, maps, skeleton=people.skeleton, udp=codec.udp))
        if self._whole_images:
            captions = [counted(len(people), "people")]
        else:
            captions = [f"{row}: {people[row].score:.2f}" for row in range(len(cells))]
        sheet = contact_sheet(cells, columns=min(len(cells), _ROW), captions=captions)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(path, sheet)
