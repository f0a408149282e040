"""Decoding of a video's packets by PyAV, with a count of those that are damaged."""

from collections.abc import Iterator
from typing import Any

import av
from packaging.version import Version

from jaxpose.errors import InputError
from jaxpose.media.image import max_pixels

# Kinds of files that are opened. FFmpeg would also open playlists, which name other files.
_KINDS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,gif,asf,ogg,ivf,mxf,h264,hevc,m4v,"
    "dv,rm,nut,obu,yuv4mpegpipe"
)
# Codecs with packets that are never shown, so that a packet without a frame is no loss.
_HIDING = frozenset({"av1", "libdav1d", "libaom-av1", "libvpx", "libvpx-vp9", "vp8", "vp9"})
_UNREADABLE = "not a readable video; it is cut off, damaged, or of an unknown format"
_MANY_PIXELS = 2**24
_TIMEOUT = 10.0  # seconds without a byte of a stream
# A text that is not in UTF-8 must not hide a video; PyAV 19 keeps its bytes without an option.
_ANY_TITLE: dict[str, Any] = (
    {} if Version(av.__version__) >= Version("19") else {"metadata_errors": "replace"}
)
# Failures to read in a row after which a file is at its end.
_PATIENCE = 30


class Decoding:
    """Decoded frames of a video in order, each with the number of damaged ones right before it.

    Attributes:
      lost: damaged frames after the last frame, once all are read.
      unread: frames that the file's index lists and that were not found, once all are read.
      broken_off: the reason why reading stopped before the end; empty if it did not.
    """

    def __init__(self, container: Any, source: str, live: bool, *, careful: bool = False) -> None:
        """Prepares the decoding of an open container.

        Args:
          container: as `opened` returns it.
          source: path or address, to open it once more where threads lost errors.
          live: a stream from the network.
          careful: without threads that decode several frames at once.
        """
        self.lost = self.unread = 0
        self.broken_off = ""
        self._container = container
        self._source = source
        self._live = live
        self._careful = careful
        self._again: Decoding | None = None
        self._stream = stream_of(container)
        # Threads that decode several frames at once lose track of errors at the end of the stream.
        self._stream.thread_type = "SLICE" if careful else "AUTO"
        pixels = self._stream.codec_context.width * self._stream.codec_context.height
        if pixels > _MANY_PIXELS:  # a frame for each thread is in memory
            self._stream.codec_context.thread_count = max(1, 8 * _MANY_PIXELS // pixels)
        self._stream.codec_context.options = {"max_pixels": str(max_pixels())}
        # In transport streams the mark also stands on whole packets after a missing one.
        self._trusts_marks = container.format.name != "mpegts"
        self._hides = self._stream.codec_context.name in _HIDING
        # Of other formats the index lists key frames alone, or is an estimate.
        indexed = container.format.name.startswith(("mov", "avi"))
        self._listed = len(self._stream.index_entries) if indexed else 0

    def close(self) -> None:
        """Closes what was opened here."""
        if self._again is not None:
            self._again._container.close()

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        waiting: list[int] = []  # time stamps of packets whose frame has not come out
        broken: set[int] = set()
        given_up: set[int] = set()
        last: int | None = None
        damaged = restarted = False
        for packet in self._packets():
            if packet is not None and packet.pts is not None and not packet.is_discard:
                waiting.append(packet.pts)
                if packet.is_corrupt and self._trusts_marks:
                    broken.add(packet.pts)
            failed = False
            for frame in self._frames(packet):
                if frame is None:
                    self.lost += 1
                    failed = damaged = True
                    continue
                before = self.lost
                if frame.pts is not None:
                    if frame.pts in given_up:  # after damage some come out too late
                        continue
                    restarted |= last is not None and frame.pts < last
                    past = [stamp for stamp in waiting if stamp < frame.pts]
                    waiting = [stamp for stamp in waiting if stamp > frame.pts]
                    before, last = len(past), frame.pts
                    if damaged:
                        given_up.update(past)
                if frame.pts in broken:
                    self.lost += 1
                    continue
                # After damage, frames that need the damaged one are left out without an error.
                lost = before if damaged and not self._hides else min(before, self.lost)
                self.lost = max(self.lost - lost, 0)
                yield frame, lost
            if packet is None and not (self._careful or restarted) and (failed or waiting):
                yield from self._rest(last)
            elif packet is None and damaged and not self._hides:
                self.lost = max(self.lost, len(waiting))

    def _packets(self) -> Iterator[Any]:
        """The packets of the stream, then None."""
        failures = count = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    count += packet.dts is not None
                    if packet.size:  # an empty one would end the decoding
                        yield packet
                break
            except av.error.InvalidDataError:
                failures += 1
                if failures >= _PATIENCE:
                    self.broken_off = "nothing can be read any more"
                    break
            except (av.error.FFmpegError, OSError) as error:
                self.broken_off = f"reading failed: {error.strerror}"
                break
        self.unread = max(0, self._listed - count)
        yield None

    def _frames(self, packet: Any) -> Iterator[Any]:
        """The frames that come out after a packet; None for a damaged one."""
        try:
            frames = self._stream.codec_context.decode(packet)
        except (av.error.FFmpegError, EOFError):
            yield None
            return
        yield from frames

    def _rest(self, last: int | None) -> Iterator[tuple[Any, int]]:
        """Decodes the end once more, frame by frame, and yields the frames after the last one."""
        if self._live or last is None:
            return
        try:
            container = opened(self._source, self._live)
        except InputError:
            return
        self._again = Decoding(container, self._source, self._live, careful=True)
        container.seek(last, stream=stream_of(container))  # to the key frame before
        self.lost = 0
        for frame, lost in self._again:
            if frame.pts is not None and frame.pts > last:
                yield frame, lost
        self.lost = self._again.lost


def opened(name: str, live: bool) -> Any:
    """Container of PyAV.

    Raises:
      InputError: it cannot be opened as a video.
    """
    options = {"max_pixels": str(max_pixels())}
    if not live:
        options |= {"protocol_whitelist": "file", "format_whitelist": _KINDS}
    try:
        return av.open(
            name if live else f"file:{name}",
            **_ANY_TITLE,
            options=options,
            timeout=_TIMEOUT if live else None,
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if live:
            raise InputError(f"{name}: the stream cannot be opened") from error
        raise InputError(f"{name}: {_UNREADABLE}") from error


def stream_of(container: Any) -> Any:
    """The video stream that players show.

    Raises:
      InputError: there is none.
    """
    shown = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    for stream in shown:
        if stream.codec_context is not None:
            return stream
    name = container.name.removeprefix("file:")
    if not len(container.streams):
        raise InputError(f"{name}: {_UNREADABLE}")
    if shown:
        raise InputError(f"{name}: PyAV has no decoder for this video; convert it to H.264")
    what = "only sound" if container.streams.audio else "no video"
    raise InputError(f"{name}: there is {what} in the file")
