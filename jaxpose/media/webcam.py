"""Frames of a webcam, by OpenCV."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jaxpose.errors import InputError
from jaxpose.media.frames import NOT_TO_THE_END, Frame, Skipped

# Failures in a row after which a webcam has stopped.
_PATIENCE = 30


@dataclass
class Webcam:
    """Frames of a webcam until it stops; their time stamps come from this machine's clock.

    Attributes:
      source: the name in `Frame.source`.
      fps: frames per second that the driver states; None if it states none.
      report: called once the webcam stops.
    """

    source: str
    fps: float | None
    report: Callable[[Skipped], None]
    _capture: Any = field(repr=False)
    live = True
    count = None

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the frames, as the driver states them."""
        import cv2

        properties = cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH
        height, width = (int(self._capture.get(one)) for one in properties)
        return height, width

    def __iter__(self) -> Iterator[Frame]:
        import cv2

        begun, failures, index = time.monotonic(), 0, 0
        try:
            while failures < _PATIENCE:
                found, image = self._capture.read()
                if not found:
                    failures += 1
                    time.sleep(0.02)
                    continue
                code = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
                seconds = time.monotonic() - begun
                yield Frame(cv2.cvtColor(image, code), self.source, index, seconds, self.fps)
                index, failures = index + 1, 0
            self.report(Skipped(self.source, "no more frames came", index, cause=NOT_TO_THE_END))
        finally:
            self.close()

    def close(self) -> None:
        """Releases the webcam."""
        self._capture.release()


def open_webcam(number: int, report: Callable[[Skipped], None]) -> Webcam:
    """Opens a webcam by its number.

    Args:
      number: 0 for the first.
      report: called once the webcam stops.

    Raises:
      InputError: no such webcam, or another program holds it.
    """
    import cv2

    with _quiet():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise InputError(
            f"there is no webcam {number}, or another program holds it, or this machine (a "
            "container, Colab) has none; give a video instead"
        )
    fps = capture.get(cv2.CAP_PROP_FPS)
    return Webcam(f"webcam {number}", fps if 0 < fps < 1e3 else None, report, capture)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides OpenCV's output about errors that are raised as exceptions anyway."""
    import cv2

    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
