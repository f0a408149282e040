"""What a pipeline returns: the people of each frame, as they come."""

import atexit
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import Media
from jaxpose.media.video import Skipped
from jaxpose.results.people import People, dataframe


class Results(Iterator[People]):
    """The people of one frame after the other; once through.

    Nothing is computed before it is asked for, beyond the few frames that are under way, and no
    frame is kept, so memory stays flat however long the film. `list(results)` keeps the people, not
    the pictures. Closing it, or leaving it in a `with`, stops what is under way.

    Attributes:
      stages: how long each stage has worked so far; `print(results.stages)` is a table.
      count: how many frames there will be at most; None if unknown.
    """

    def __init__(self, made: Iterator[People], media: Media, stages: StageTimer) -> None:
        """Wraps an iterator of results."""
        self._made = made
        self._media = media
        self._last: Any = None
        self.stages = stages
        self.count = media.count
        _open.add(self)

    @property
    def skipped(self) -> list[Skipped]:
        """What has been left out so far, and why: photos, films, damaged frames."""
        return self._media.skipped

    def __next__(self) -> People:
        """The next frame's people."""
        people = next(self._made)
        self._last = people._photo  # for draw(), until the next one
        return people.held_weakly()

    def to_dataframe(self) -> Any:
        """A pandas table of all that is left, a line for each keypoint (`COLUMNS`)."""
        return dataframe(self)

    def close(self) -> None:
        """Stops what is under way."""
        self._last = None
        close = getattr(self._made, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_open: WeakSet[Results] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends the threads that a program left under way, before the interpreter goes."""
    for results in list(_open):
        results.close()
