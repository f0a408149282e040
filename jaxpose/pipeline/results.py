"""Results of a pipeline: the people of each frame, as they come."""

import atexit
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

from jaxpose.media.frames import Skipped
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import Media
from jaxpose.results.drawing import Drawing
from jaxpose.results.people import People, dataframe
from jaxpose.results.saving import save_results


class Results(Iterator[People]):
    """The people of one frame after the other, to be iterated once.

    Nothing is computed before it is needed, except for the few frames that are under way, and no
    frame is kept, so memory stays constant however long the video. `list(results)` keeps the
    people, not the images. `close()`, or leaving a `with` block, stops what is under way.

    Attributes:
      stages: working time of each stage so far; `print(results.stages)` is a table.
      count: number of frames, of a video an estimate; None if unknown.
    """

    def __init__(self, frames: Iterator[People], media: Media, stages: StageTimer) -> None:
        """Wraps an iterator of results."""
        self._frames = frames
        self._media = media
        self._last_image: Any = None
        self.stages = stages
        self.count = media.count
        _open.add(self)

    @property
    def skipped(self) -> list[Skipped]:
        """Images, videos and damaged frames that have been left out so far, with the reasons."""
        return self._media.skipped

    def __next__(self) -> People:
        """The next frame's people."""
        people = next(self._frames)
        self._last_image = people._image  # for draw(), until the next one
        return people.held_weakly()

    def save(self, path: str | Path, **drawing: Any) -> Path:
        """Writes all frames that are left: a drawn video (.mp4), or .json, .jsonl or .csv.

        Args:
          path: the suffix chooses the form; see `results.saving.save_results`.
          drawing: keywords of `People.draw`, for a video.

        Returns:
          The path.

        Raises:
          InputError: another suffix, no frame, or a file that cannot be written.
        """
        return save_results(self, path, Drawing(**drawing), self.count)

    def __repr__(self) -> str:
        """Sources and number of frames, in one line; reads nothing."""
        names = [path.name for path in self._media.paths]
        named = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        count = "frames" if self.count is None else f"up to {self.count} frames"
        return f"<results of {named or 'images'}: {count}, to be iterated once>"

    def to_dataframe(self) -> Any:
        """A pandas table of all frames that are left, a line for each keypoint (`COLUMNS`)."""
        return dataframe(self)

    def close(self) -> None:
        """Stops what is under way."""
        self._last_image = None
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_open: WeakSet[Results] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends the threads that a program left running, before the interpreter ends."""
    for results in list(_open):
        results.close()
