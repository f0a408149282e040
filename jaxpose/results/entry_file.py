"""Text file of entries that are appended as they arrive, such as the frames of a video."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from jaxpose.errors import InputError, not_written
from jaxpose.paths import part_of, partial_of, put_in_place

_BLOCK = 2**16  # bytes that are searched at a time


class EntryFile:
    """Text file of entries, which takes its name when it is closed.

    If the run breaks off or a write fails, an earlier file of this name is left as it is, and the
    whole entries are kept in `part_of(path)` if the disk has room.
    """

    def __init__(
        self, path: Path, opening: str = "", *, between: str = "", live: bool = False
    ) -> None:
        """Begins the file.

        Args:
          path: path of the file.
          opening: text before the first entry.
          between: text between entries that each begin with a new line; empty if each entry is one
            or more whole lines.
          live: each entry is in `part_of(path)` at once.
        """
        self.path = path
        self.part: Path | None = None
        self._partial = part_of(path) if live else partial_of(path)
        self._live = live
        self._begin = len(opening.encode("utf-8", "backslashreplace"))
        self._between = between
        self._entries = 0
        self._failed = False
        with self._reported():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A file name that is not UTF-8 is escaped, as in JSON.
            self._stream: IO[str] = self._partial.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            self._stream.write(opening)

    def write(self, entry: str) -> None:
        """Appends an entry."""
        with self._reported():
            self._stream.write(self._between + entry if self._entries else entry)
            if self._live:
                self._stream.flush()
        self._entries += 1

    def close(self, ending: str = "", *, complete: bool = True) -> None:
        """Puts the file, or the part of a run that broke off, in place; see `writers.Writer`."""
        part = part_of(self.path)
        try:
            if not complete and not self._entries:
                self._remove()
            elif not self._failed:
                with self._reported():
                    self._stream.write(ending)
                    self._stream.close()
                    put_in_place(self._partial, self.path if complete else part)
                    if complete:
                        part.unlink(missing_ok=True)  # of an earlier run that broke off
                    else:
                        self.part = part
        except InputError:
            if complete:
                raise
        finally:
            if self._failed:
                self._keep_whole_entries(ending, part)

    def _keep_whole_entries(self, ending: str, part: Path) -> None:
        with suppress(OSError):
            self._stream.close()
        mark = f"{self._between}\n".encode()
        with suppress(OSError):
            if _cut(self._partial, self._begin, mark, not self._between, ending.encode()):
                put_in_place(self._partial, part)
                self.part = part
                return
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed = True
            raise not_written(self.path, error) from error


def _cut(path: Path, begin: int, mark: bytes, with_mark: bool, ending: bytes) -> bool:
    """Cuts a file of entries after a whole one, and ends it; False if it has none.

    The ending replaces bytes that the file has already, so it fits on a full disk.

    Args:
      path: the file.
      begin: first byte of its first entry.
      mark: bytes between two entries, or at the end of each.
      with_mark: the last mark stays.
      ending: bytes after the last entry.
    """
    with path.open("rb+") as file:
        place = _last(file, mark, begin, file.seek(0, os.SEEK_END) - len(ending))
        if place < 0:
            return False
        file.seek(place + len(mark) * with_mark)
        file.write(ending)
        file.truncate()
    return True


def _last(file: IO[bytes], mark: bytes, begin: int, end: int) -> int:
    """Place of the last `mark` within bytes `begin` to `end` of a file; -1 if there is none."""
    while end - begin >= len(mark):
        start = max(begin, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(mark)
        if found >= 0:
            return start + found
        if start == begin:
            break
        end = start + len(mark) - 1
    return -1
