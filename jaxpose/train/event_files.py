"""TensorBoard's event files, written as they come: a write that fails raises its error.

The writer of tensorboardX works in a thread. After a failed write that thread is gone, and the run
would wait for it without end. Only the protocol buffers and checksums are tensorboardX's.
"""

import re
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.paths import in_bucket

_EVERY = 30.0  # seconds between uploads to a bucket, where a file is written as a whole
_VERSION = "brain.Event:2"


class EventFile:
    """New event file of a run.

    TensorBoard reads the files of a folder in the order of the seconds in their names and drops
    what is later than the first step of a newer file. A new file is therefore named after all
    earlier ones, even if the clock was set back.

    Args:
      directory: the run directory.
      start_step: number of finished steps; records of later steps in earlier files are dropped.

    Raises:
      OSError: here and in all methods: the file cannot be written.
    """

    def __init__(self, directory: Path, start_step: int) -> None:
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.record_writer import open_file

        self._file = open_file(str(directory / f"events.out.tfevents.{_seconds(directory)}"))
        self._every = _EVERY if in_bucket(directory) else 0.0
        self._flushed_at = time.monotonic()
        self._add(file_version=_VERSION)
        self._add(step=start_step + 1, session_log=SessionLog(status=SessionLog.START))
        self._flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append values after `step` steps."""
        from tensorboardX import summary

        for name, value in values.items():
            self._add(step=step, summary=summary.scalar(name, value))
        self._flush()

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Append a uint8 RGB image `[H, W, 3]`."""
        from tensorboardX import summary

        self._add(step=step, summary=summary.image(name, rgb, dataformats="HWC"))
        self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _add(self, **fields: Any) -> None:
        """Append an event as a TFRecord: length, its checksum, data, its checksum."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        data = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(data))
        sums = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
        self._file.write(length + next(sums) + data + next(sums))

    def _flush(self) -> None:
        if time.monotonic() - self._flushed_at >= self._every:
            self._file.flush()
            self._flushed_at = time.monotonic()


def _seconds(directory: Path) -> str:
    """Seconds since 1970, later than those in the names of the event files of a run."""
    names = (path.name for path in directory.glob("events.out.tfevents.*"))
    earlier = [int(found[1]) for name in names if (found := re.search(r"tfevents\.(\d+)", name))]
    return f"{max([int(time.time()), *(second + 1 for second in earlier)]):010d}"
