"""Writer of video files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import av
import numpy as np

from jaxpose.errors import InputError, not_written
from jaxpose.paths import note_parts, part_of, partial_of, put_in_place
from jaxpose.viz.people import as_rgb

# x264's quality parameter: 18 is considered visually lossless, 23 is the default.
_QUALITY = "20"
# Encoder of each codec, and units per second of its time stamps. 360,000 is a multiple of 24,000
# and 30,000 (rates over 1001), of 90,000 (transport streams) and of milliseconds; MPEG-4 part 2
# takes at most 65,535.
_ENCODERS = {"h264": ("libx264", 360_000), "mp4v": ("mpeg4", 60_000)}
# A first time stamp above this many seconds is the clock of a stream, such as the time of day.
_LATEST_START = 0.5


class VideoWriter:
    """Writes RGB images of one size as a video; the file appears under its name when closed.

    Images keep their time stamps, so that a video of uneven steps has the same steps again. H.264
    (plays everywhere) through PyAV; a build of PyAV without its encoder writes MPEG-4 part 2, which
    browsers do not play. `codec` is the codec in use. Use it with `with`: after an exception or
    Ctrl-C the frames so far are in `paths.part_of` the path, which is then `part`, and an earlier
    file is left as it is. If a write fails, there is no video of the frames so far.
    """

    def __init__(
        self, path: str | Path, fps: float | None = None, *, codec: str | None = None
    ) -> None:
        """Takes the path of the video; its size is that of the first image.

        Args:
          path: ends in .mp4.
          fps: frames per second of images without a time stamp; None if all of them have one.
          codec: `h264` or `mp4v`; None takes the first that works.

        Raises:
          InputError: another suffix, an impossible rate, or an unknown codec.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: a video's name must end in .mp4")
        if fps is not None and not 0 < fps < 1e4:
            raise InputError(f"{path}: {fps} frames per second is not possible")
        if codec is not None and codec not in _ENCODERS:
            raise InputError(f"the codec {codec!r} is neither 'h264' nor 'mp4v'")
        self.fps = fps
        self.codec = codec
        self.frames = 0
        self.part: Path | None = None
        self._partial = partial_of(self.path)
        self._encoder: _Encoder | None = None
        self._hw: tuple[int, int] = (0, 0)
        self._start = 0.0

    def write(self, image: np.ndarray, seconds: float | None = None) -> None:
        """Appends an image, uint8 `[H, W, 3]` RGB.

        Args:
          image: the image.
          seconds: its time stamp; None for one step of `fps` after the other. A video begins at its
            first time stamp if that is less than half a second, otherwise at 0. An image that does
            not come after the one before is shown right after it.

        Raises:
          InputError: another size than the first one's, a time stamp for some images only, or the
            video cannot be written.
        """
        picture = as_rgb(image)
        if (seconds is None) == (self.fps is None):
            raise InputError(f"{self.path}: give either the frames per second or each time stamp")
        with self._reported():
            if self._encoder is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._partial.touch()
                self._hw = picture.shape[:2]
                self.codec, self._encoder = _opened(self._partial, self.fps, self._hw, self.codec)
                if seconds is not None and not 0 <= seconds <= _LATEST_START:
                    self._start = seconds
            if picture.shape[:2] != self._hw:
                raise InputError(
                    f"{self.path}: an image of {picture.shape[1]} x {picture.shape[0]} pixels in "
                    f"a video of {self._hw[1]} x {self._hw[0]}"
                )
            own = None if seconds is None else seconds - self._start
            self._encoder.write(_even(picture), own)
        self.frames += 1

    def close(self, *, complete: bool = True) -> None:
        """Finishes the video; without an image no file is written.

        Args:
          complete: all frames are written. If False, those so far are kept in `part`.
        """
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        with self._reported():
            encoder.close()
            part = part_of(self.path)
            put_in_place(self._partial, self.path if complete else part)
            if complete:
                part.unlink(missing_ok=True)  # of an earlier run that broke off
            else:
                self.part = part

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Ends the video without a file if it cannot be written."""
        try:
            yield
        except OSError as error:
            encoder, self._encoder = self._encoder, None
            with suppress(OSError):
                if encoder is not None:
                    encoder.abandon()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
            raise not_written(self.path, error) from None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(InputError):
            self.close(complete=False)
        if self.part is not None:
            note_parts(error, [self.part])


class _Encoder:
    """Encoder by PyAV, in the pixel format that every player supports."""

    def __init__(self, path: Path, fps: float | None, hw: tuple[int, int], codec: str) -> None:
        name, units = _ENCODERS[codec]
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        rate = Fraction(fps or 30).limit_denominator(1001)
        self._stream = cast(Any, self._container.add_stream(name, rate=rate))
        self._stream.height, self._stream.width = hw
        self._stream.pix_fmt = "yuv420p"
        self._unit = 1 / rate if fps else Fraction(1, units)
        self._stream.time_base = self._stream.codec_context.time_base = self._unit
        if codec == "h264":
            # With B-frames, MP4 would state the duration of uneven steps wrongly.
            self._stream.options = {"crf": _QUALITY, "preset": "veryfast", "bf": "0"}
        else:
            self._stream.options = {"q": "3"}
        self._last, self._step = -1, 1
        self._stream.codec_context.open()

    def write(self, picture: np.ndarray, seconds: float | None) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        stamp = self._last + 1 if seconds is None else round(seconds / float(self._unit))
        frame.pts = max(stamp, self._last + 1)
        self._step = frame.pts - self._last if self._last >= 0 else round(1 / 30 / self._unit) or 1
        self._last = frame.pts
        frame.time_base = self._unit
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        self._mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Closes the file without the images that are still in the encoder."""
        self._container.close()

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            # The last image is shown for as long as the one before it.
            packet.duration = self._step
            self._container.mux(packet)


def _opened(
    path: Path, fps: float | None, hw: tuple[int, int], codec: str | None
) -> tuple[str, _Encoder]:
    """Opens the first encoder that works; returns its codec and the encoder."""
    size = (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2)
    failed = []
    for name in _ENCODERS:
        if codec in (None, name):
            try:
                return name, _Encoder(path, fps, size, name)
            except ValueError as error:  # PyAV's exception for an encoder that its build lacks
                failed.append(str(error))
    raise InputError(f"no video can be written here: {'; '.join(failed)}")


def _even(picture: np.ndarray) -> np.ndarray:
    """Repeats the last row and column where a side is odd, because H.264 needs even sizes."""
    height, width = picture.shape[:2]
    if not (height % 2 or width % 2):
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
