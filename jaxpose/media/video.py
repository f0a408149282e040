"""Frames of a video file or stream, with their index and time stamp, by PyAV."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from jaxpose.errors import InputError, not_read
from jaxpose.media.cut_off import cut_off
from jaxpose.media.decoding import Decoding, opened, stream_of
from jaxpose.media.display import displayed, matrix_of
from jaxpose.media.frames import NOT_TO_THE_END, Frame, Skipped
from jaxpose.media.image import LIMIT_VARIABLE, max_pixels, missing
from jaxpose.media.webcam import Webcam, open_webcam

VIDEO_SUFFIXES = frozenset(
    {
        *{".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"},
        *{".mpg", ".mts", ".ts", ".webm", ".wmv"},
    }
)
"""Suffixes of video files."""

_DEFAULT_FPS = 25
# Pixels of a frame above which several threads convert its colours.
_MANY_PIXELS = 2**20


@dataclass
class Video:
    """Frames of a video in order, readable once; open a new one to read it again.

    The frames end where the stream ends: numbers of frames in headers are estimates. Damaged frames
    are reported through `report` and counted by the index of the next frame. The display matrix,
    which turns and mirrors frames, is applied, as players do. Frames of another size than the first
    are scaled to it.

    Attributes:
      source: the name in `Frame.source`.
      fps: average frames per second that the video states; None if it states none.
      count: number of frames, an estimate; None if the header has no number.
      live: a stream from the network.
    """

    source: str
    fps: float | None
    count: int | None
    live: bool
    report: Callable[[Skipped], None]
    _container: Any = field(repr=False)
    _time_base: Fraction = field(repr=False)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the stored frames, from the video's header; nothing is decoded."""
        stream = stream_of(self._container)
        return stream.codec_context.height, stream.codec_context.width

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        index, seconds = -1, None
        hw: tuple[int, int] | None = None
        rotation, matrix = None, None
        to_rgb = VideoReformatter()  # kept: to prepare one takes longer than to convert a frame
        decoding = Decoding(self._container, self.source, self.live)
        try:
            for frame, lost in decoding:
                seconds = self._seconds(frame, seconds)
                if lost:
                    self._report_damage(index + 1, lost, seconds)
                index += 1 + lost
                hw = hw or (frame.height, frame.width)
                threads = 1 if hw[0] * hw[1] < _MANY_PIXELS else 0
                try:
                    image = to_rgb.reformat(
                        frame, width=hw[1], height=hw[0], format="rgb24", threads=threads
                    ).to_ndarray()
                except (av.error.FFmpegError, ValueError) as error:
                    what = f"pixels of the form {frame.format.name} cannot be read"
                    raise InputError(f"{self.source}: {what}") from error
                # PyAV keeps a frame whose side data was read until the next garbage collection.
                if frame.rotation != rotation:
                    rotation, matrix = frame.rotation, matrix_of(frame)
                del frame  # the decoder can use its memory again
                image = np.ascontiguousarray(displayed(image, matrix))
                yield Frame(image, self.source, index, seconds, self.fps)
                del image
        finally:
            decoding.close()
            self.close()
        self._end(index, decoding)

    def _end(self, index: int, decoding: "Decoding") -> None:
        """Reports what is missing at the end."""
        reason = decoding.broken_off
        if not self.live:
            reason = cut_off(Path(self.source)) or reason
        if index < 0:
            why = f"; {reason}" if reason else ""
            why = f"the video has no frame that can be decoded{why}"
            self.report(Skipped(self.source, why))
            return
        if decoding.lost:
            self._report_damage(index + 1, decoding.lost, None)
        if reason:
            why = f"{reason}; nothing follows"
            self.report(Skipped(self.source, why, index + 1, cause=NOT_TO_THE_END))
        elif decoding.unread:
            count = decoding.unread
            frames = "1 frame" if count == 1 else f"{count:,} frames"
            why = f"{frames} of the file's index cannot be found"
            self.report(Skipped(self.source, why, None, "frames", count, "not found"))

    def _seconds(self, frame: Any, last: float | None) -> float:
        """Time stamp of a frame; without one, a step after the last."""
        stamp = frame.dts if frame.pts is None else frame.pts
        if stamp is not None:
            # Whole numbers: a `Fraction` would take a tenth of the time of small frames.
            return int(stamp) * self._time_base.numerator / self._time_base.denominator
        return 0.0 if last is None else last + 1 / (self.fps or _DEFAULT_FPS)

    def _report_damage(self, first: int, count: int, seconds: float | None) -> None:
        what = f"frame {first} is" if count == 1 else f"frames {first} to {first + count - 1} are"
        where = "at the end" if seconds is None else f"before {seconds:.2f} s"
        why = f"{what} damaged ({where})"
        self.report(Skipped(self.source, why, first, "frames", count, "damaged"))


def open_video(source: str | Path | int, report: Callable[[Skipped], None]) -> Video | Webcam:
    """Opens a video file, the address of a stream (`rtsp://...`), or a webcam by its number.

    Args:
      source: path, address or number.
      report: called for each damaged or missing range of frames as it is found.

    Raises:
      InputError: no such file or webcam, empty, not a video, or frames of more pixels than
        `media.image.max_pixels`.
    """
    if isinstance(source, int):
        return open_webcam(source, report)
    name, live = str(source), is_address(source)
    if not live:
        _check_file(Path(name))
    container = opened(name, live)
    try:
        stream = stream_of(container)
        _check_pixels(name, stream)
    except InputError:
        container.close()
        raise
    rate = _stated_rate(stream)
    return Video(
        name,
        None if rate is None else float(rate),
        None if live else _estimate(container, rate),
        live,
        report,
        container,
        stream.time_base,
    )


def is_address(source: object) -> bool:
    """True for the address of a stream, False for a path."""
    return isinstance(source, str) and source.split("://")[0] in ("rtsp", "rtmp", "http", "https")


def _check_pixels(name: str, stream: Any) -> None:
    """Refuses frames above the limit, whose size FFmpeg then leaves at 0.

    Raises:
      InputError: names the limit.
    """
    pixels, limit = stream.codec_context.width * stream.codec_context.height, max_pixels()
    if not 0 < pixels <= limit:
        raise InputError(
            f"{name}: its frames have more than the limit of {limit / 1e6:g} megapixels, or no "
            f"size that can be read; make the video smaller, or raise the limit with "
            f"--max-megapixels or {LIMIT_VARIABLE}"
        )


def _stated_rate(stream: Any) -> Fraction | None:
    """Average rate by the header; None where FFmpeg guessed it from the first frames."""
    average: Fraction | None = stream.average_rate
    if average is None or not 0 < average <= 1000:
        return None
    return average if stream.frames or average == stream.base_rate else None


def _estimate(container: Any, rate: Fraction | None) -> int | None:
    """Number of frames by the header, or by the duration; None if neither is known."""
    frames = stream_of(container).frames
    if frames > 0:
        return int(frames)
    if rate is None or not container.duration or container.duration < 0:
        return None
    return max(1, round(container.duration / av.time_base * rate))


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is a folder, not a video" if path.exists() else missing(path))
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise not_read(path, error) from error
    if empty:
        raise InputError(f"{path}: the file is empty")
