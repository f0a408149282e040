"""Result of one upload: a drawn image, a table, a sentence, files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxpose.demo.limits import GONE
from jaxpose.errors import InputError
from jaxpose.media.frames import Frame
from jaxpose.media.image import decode_image
from jaxpose.media.video import open_video
from jaxpose.results.people import People
from jaxpose.viz import VideoWriter, save_image

IMAGE_TABLE = ("person", "keypoint", "x", "y", "score")
VIDEO_TABLE = ("frame", "track_id", "keypoint", "x", "y", "score")
_LINES = 2_000


@dataclass(frozen=True)
class DemoResult:
    """The people of an image or a video, without its frames.

    Attributes:
      people: those of the image, or of each frame.
      source: the upload.
      folder: folder of this result's files; `predictions.json` and `.csv` are there.
      seconds: time that the prediction took.
      notes: sentences about what was left out.
      view_3d: an image of the person seen longest in 3D, from a lifter.
    """

    people: tuple[People, ...]
    source: Path
    folder: Path
    seconds: float
    notes: tuple[str, ...] = ()
    view_3d: Path | None = None

    @property
    def is_video(self) -> bool:
        """True for a video."""
        return self.people[0].seconds is not None

    @property
    def count(self) -> int:
        """Number of people: of a video, number of tracks."""
        if not self.is_video:
            return len(self.people[0])
        ids = [one.track_ids for one in self.people if one.track_ids is not None]
        return len(np.unique(np.concatenate(ids))) if ids else 0

    def draw(self, min_score: float) -> Path:
        """The image or video with the people drawn on it, as a file.

        Args:
          min_score: the lowest score of a keypoint that is drawn.

        Raises:
          InputError: the upload is gone, or the file cannot be written.
        """
        path = self.folder / f"drawn_{min_score:.2f}{'.mp4' if self.is_video else '.jpg'}"
        if path.exists():
            return path
        if not self.source.exists():
            raise InputError(GONE)
        if not self.is_video:
            image = decode_image(self.source.read_bytes())
            save_image(path, _numbered(self.people[0]).draw(image, min_score=min_score))
            return path
        with VideoWriter(path) as writer:
            for people, frame in self._frames():
                writer.write(people.draw(frame.image, min_score=min_score), frame.seconds)
        return path

    def table(self, min_score: float) -> list[list[str | int | float]]:
        """Lines of `IMAGE_TABLE` or `VIDEO_TABLE`: keypoints of at least this score.

        x and y are in pixels of the image. Of a video the first 2,000 lines.
        """
        columns = VIDEO_TABLE if self.is_video else IMAGE_TABLE
        lines: list[list[str | int | float]] = []
        for people in self.people:
            for row in people.rows():
                if row["score"] >= min_score:
                    lines.append([row[name] for name in columns])
            if len(lines) >= _LINES:
                return lines[:_LINES]
        return lines

    def summary(self, min_score: float) -> str:
        """Number of people and keypoints, the time it took, and what was left out."""
        if not self.count:
            what = "No person was found in this " + ("video" if self.is_video else "image")
        else:
            scores = np.concatenate([one.scores.reshape(-1) for one in self.people])
            shown = int((scores >= min_score).sum())
            what = (
                f"{self.count} {'person' if self.count == 1 else 'people'}, {shown:,} of "
                f"{scores.size:,} keypoints score {min_score:.2f} or more"
            )
        frames = f"{len(self.people)} frames in " if self.is_video else ""
        notes = [note.removesuffix(".") for note in self.notes]
        return ". ".join([f"{what}; {frames}{self.seconds:.2f} s", *notes]) + "."

    def _frames(self) -> Iterator[tuple[People, Frame]]:
        """The frames of the video again, each with its people."""
        waiting = {people.index: people for people in self.people}
        for frame in open_video(self.source, lambda skipped: None):
            people = waiting.pop(frame.index, None)
            if people is not None:
                yield people, frame
            if not waiting:
                return


def _numbered(people: People) -> People:
    """People with the numbers of the table as ids, if there are several."""
    return replace(people, track_ids=np.arange(len(people))) if len(people) > 1 else people
