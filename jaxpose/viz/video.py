"""Writer of video files."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.viz.people import as_rgb

# x264's quality parameter: 18 is considered visually lossless, 23 is the default.
_QUALITY = "20"


class VideoWriter:
    """Writes RGB images of one size as a video; the file appears under its name when closed.

    H.264 (plays everywhere) through PyAV, the extra `video`; without it through OpenCV, whose
    wheels often have no H.264 encoder, so that it falls back to MPEG-4 part 2, which browsers do
    not play. `codec` is the codec in use. Use it with `with`: frames written before an exception or
    Ctrl-C are kept.
    """

    def __init__(self, path: str | Path, fps: float, *, codec: str | None = None) -> None:
        """Takes the path of the video; its size is that of the first image.

        Args:
          path: ends in .mp4.
          fps: frames per second.
          codec: `h264` or `mp4v`; None takes the first that works.

        Raises:
          InputError: another suffix, an impossible rate, or an unknown codec.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: a video's name must end in .mp4")
        if not 0 < fps < 1e4:
            raise InputError(f"{path}: {fps} frames per second is not possible")
        if codec not in (None, "h264", "mp4v"):
            raise InputError(f"the codec {codec!r} is neither 'h264' nor 'mp4v'")
        self.fps = fps
        self.codec = codec
        self.frames = 0
        self._partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.mp4")
        self._encoder: _Av | _Cv | None = None
        self._hw: tuple[int, int] = (0, 0)

    def write(self, image: np.ndarray) -> None:
        """Appends an image, uint8 `[H, W, 3]` RGB.

        Raises:
          InputError: another size than the first one's, or the video cannot be written.
        """
        picture = as_rgb(image)
        try:
            if self._encoder is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._partial.touch()
                self._hw = picture.shape[:2]
                self.codec, self._encoder = _open(self._partial, self.fps, self._hw, self.codec)
            if picture.shape[:2] != self._hw:
                raise InputError(
                    f"{self.path}: an image of {picture.shape[1]} x {picture.shape[0]} pixels in "
                    f"a video of {self._hw[1]} x {self._hw[0]}"
                )
            self._encoder.write(_even(picture))
        except OSError as error:
            raise InputError(
                f"{self.path}: the video cannot be written: {error.strerror}"
            ) from None
        self.frames += 1

    def close(self) -> None:
        """Finishes the video; without an image no file is written."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        try:
            encoder.close()
            os.replace(self._partial, self.path)
        except OSError as error:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
            raise InputError(
                f"{self.path}: the video cannot be written: {error.strerror}"
            ) from None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(InputError):
                self.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Hides OpenCV's output about errors that are raised as exceptions anyway."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


class _Av:
    """H.264 encoder by PyAV, in the pixel format that every player supports."""

    def __init__(self, path: Path, fps: float, hw: tuple[int, int]) -> None:
        import av

        self._av = av
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        rate = Fraction(fps).limit_denominator(1001)
        self._stream: Any = self._container.add_stream("libx264", rate=rate)
        self._stream.height, self._stream.width = hw
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": _QUALITY, "preset": "veryfast"}
        self._stream.codec_context.open()

    def write(self, picture: np.ndarray) -> None:
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()


class _Cv:
    """Encoder by OpenCV, with the codecs of its wheel."""

    def __init__(self, path: Path, fps: float, hw: tuple[int, int], fourcc: str) -> None:
        with quiet():
            code = cv2.VideoWriter.fourcc(*fourcc)
            self._writer = cv2.VideoWriter(str(path), code, fps, (hw[1], hw[0]))
        self._path, self._frames = str(path), 0
        if not self._writer.isOpened():
            raise ValueError(f"no encoder for {fourcc}")

    def write(self, picture: np.ndarray) -> None:
        with quiet():
            self._writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
        self._frames += 1

    def close(self) -> None:
        self._writer.release()
        # OpenCV does not report a full disk.
        with quiet():
            written = cv2.VideoCapture(self._path).get(cv2.CAP_PROP_FRAME_COUNT)
        if written < self._frames:
            raise OSError(errno.EIO, "it is not complete; is the disk full?", self._path)


def _open(path: Path, fps: float, hw: tuple[int, int], codec: str | None) -> tuple[str, _Av | _Cv]:
    """Opens the first encoder that works; returns its codec and the encoder."""
    size = (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2)
    choices: list[tuple[str, Callable[[], _Av | _Cv]]] = [
        ("h264", lambda: _Av(path, fps, size)),
        ("mp4v", lambda: _Cv(path, fps, size, "mp4v")),
    ]
    failed = []
    for name, make in choices:
        if codec in (None, name):
            try:
                return name, make()
            except ImportError:
                failed.append("H.264 needs PyAV: pip install 'jaxpose[video]'")
            except ValueError as error:  # PyAV's exception for an encoder that its build lacks
                failed.append(str(error))
    raise InputError(f"no video can be written here: {'; '.join(failed)}")


def _even(picture: np.ndarray) -> np.ndarray:
    """Repeats the last row and column where a side is odd, because H.264 needs even sizes."""
    height, width = picture.shape[:2]
    if not (height % 2 or width % 2):
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
