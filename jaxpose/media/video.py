"""Frames of a video file, a stream or a webcam, with their index and time stamp."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.image import max_pixels, missing
from jaxpose.viz.video import quiet

VIDEO_SUFFIXES = frozenset(
    {
        *{".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"},
        *{".mpg", ".mts", ".ts", ".webm", ".wmv"},
    }
)
"""Suffixes of video files."""

# Failures in a row after which a file of unknown length is at its end.
_PATIENCE = 30
_DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class Skipped:
    """Skipped image, video, or frames of a video (`index` is the first), with the reason."""

    source: str
    reason: str
    index: int | None = None


@dataclass(frozen=True)
class Frame:
    """One image of a stream.

    Attributes:
      image: uint8 RGB `[H, W, 3]`, upright.
      source: the path, `webcam 0`, or `array`.
      index: the position within the video, with lost frames counted; 0 for a single image.
      seconds: time since the beginning of the video; None for a single image.
      fps: frames per second of the video; None for a single image.
    """

    image: np.ndarray
    source: str
    index: int = 0
    seconds: float | None = None
    fps: float | None = None


@dataclass
class Video:
    """Frames of a video in order, readable once; open a new one to read it again.

    Frames that cannot be decoded are reported through `report` and reading continues after them:
    the index of the next frame counts the frames that its time stamp shows to be lost. A rotation
    in the video's metadata is applied.

    Attributes:
      source: the name in `Frame.source`.
      fps: frames per second; 25 where the video does not state them.
      count: number of frames in the video's header; None for streams and webcams.
      live: a webcam or a stream, whose time stamps come from this machine's clock.
    """

    source: str
    fps: float
    count: int | None
    live: bool
    report: Callable[[Skipped], None]
    _capture: Any = field(repr=False)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the frames, from the video's header; nothing is decoded."""
        import cv2

        properties = cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH
        height, width = (int(self._capture.get(one)) for one in properties)
        return height, width

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._live() if self.live else self._film()
        finally:
            self._capture.release()

    def _live(self) -> Iterator[Frame]:
        begun, failures, index = time.monotonic(), 0, 0
        while failures < _PATIENCE:
            found, image = self._capture.read()
            if found:
                seconds = time.monotonic() - begun
                yield Frame(_rgb(image), self.source, index, seconds, self.fps)
                index, failures = index + 1, 0
            else:
                failures += 1
                time.sleep(0.02)
        self.report(Skipped(self.source, "no more frames came", index))

    def _film(self) -> Iterator[Frame]:
        import cv2

        index, last, lost, decoded, failures = -1, 0.0, 0, 0, 0
        while True:
            found = self._capture.grab()
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            image = self._capture.retrieve()[1] if found else None
            if image is None:
                failures += 1
                lost += 1
                if self._ended(decoded, failures):
                    break
                continue
            # A decoder that reads ahead fails some frames before the missing ones.
            gap = round((seconds - last) * self.fps) - 1 if index >= 0 else 0
            missing_here = min(max(gap, 0), lost)
            if missing_here:
                self._tell(index + 1, missing_here, seconds)
                lost -= missing_here
                decoded += missing_here
            index += 1 + missing_here
            last = max(seconds, last)
            decoded, failures = decoded + 1, 0
            yield Frame(_rgb(image), self.source, index, seconds, self.fps)
            if decoded == self.count and not lost:
                break
        self._end(decoded)

    def _ended(self, decoded: int, failures: int) -> bool:
        if self.count is None:
            return failures >= _PATIENCE
        return decoded + failures >= self.count

    def _end(self, decoded: int) -> None:
        if not decoded:
            self.report(Skipped(self.source, "the video has no frame that can be decoded"))
        # A container's count may be off by a little without any damage.
        elif self.count is not None and self.count - decoded > max(1, 0.01 * self.count):
            reason = f"the header states {self.count} frames; nothing can be decoded after this one"
            self.report(Skipped(self.source, reason, decoded))

    def _tell(self, first: int, count: int, seconds: float) -> None:
        what = f"frame {first} is" if count == 1 else f"frames {first} to {first + count - 1} are"
        self.report(Skipped(self.source, f"{what} damaged (before {seconds:.2f} s)", first))


def open_video(source: str | Path | int, report: Callable[[Skipped], None]) -> Video:
    """Opens a video file, the address of a stream (`rtsp://...`), or a webcam by its number.

    Args:
      source: path, address or number.
      report: called for each damaged or missing range of frames as it is found.

    Raises:
      InputError: no such file or webcam, empty, not a video, or frames of more than `max_pixels()`.
    """
    import cv2

    name = f"webcam {source}" if isinstance(source, int) else str(source)
    live = isinstance(source, int) or is_address(source)
    if not live:
        _check_file(Path(name))
    with quiet():
        capture = cv2.VideoCapture(source if isinstance(source, int) else name)
    if not capture.isOpened():
        capture.release()
        raise InputError(_unopened(source))
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > max_pixels():
        capture.release()
        raise InputError(f"{name}: frames of {width:g} x {height:g} pixels are not decoded")
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return Video(
        name,
        fps if np.isfinite(fps) and 0 < fps < 1e4 else _DEFAULT_FPS,
        count if count > 0 and not live else None,
        live,
        report,
        capture,
    )


def is_address(source: object) -> bool:
    """True for the address of a stream, False for a path."""
    return isinstance(source, str) and source.split("://")[0] in ("rtsp", "rtmp", "http", "https")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is a folder, not a video" if path.exists() else missing(path))
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if empty:
        raise InputError(f"{path}: the file is empty")


def _unopened(source: str | Path | int) -> str:
    if isinstance(source, int):
        return (
            f"there is no webcam {source}, or another program holds it, or this machine (a "
            "container, Colab) has none; give a video instead"
        )
    if is_address(source):
        return f"{source}: the stream cannot be opened"
    return f"{source}: not a readable video; it is cut off, damaged, or of an unknown format"


def _rgb(image: np.ndarray) -> np.ndarray:
    import cv2

    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
