"""What was found in one upload, and how it is shown: a picture, a table, a sentence, files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxpose.demo.limits import GONE
from jaxpose.errors import InputError
from jaxpose.media.image import decode_photo
from jaxpose.media.video import Frame, open_video
from jaxpose.results.people import People
from jaxpose.viz import VideoWriter, save_image

PHOTO_TABLE = ("person", "keypoint", "x", "y", "score")
FILM_TABLE = ("frame", "track_id", "keypoint", "x", "y", "score")
_LINES = 2_000


@dataclass(frozen=True)
class DemoResult:
    """The people of a photo or a film, without its pictures.

    Attributes:
      people: of the photo, or of each frame.
      source: the upload.
      folder: of this result's files; `predictions.json` and `.csv` are there.
      seconds: that looking took.
      notes: sentences about what was left out.
      space: a picture of people in space, from a lifter.
    """

    people: tuple[People, ...]
    source: Path
    folder: Path
    seconds: float
    notes: tuple[str, ...] = ()
    space: Path | None = None

    @property
    def is_film(self) -> bool:
        """Whether there are frames."""
        return self.people[0].seconds is not None

    @property
    def count(self) -> int:
        """How many people: of a film, how many tracks."""
        if not self.is_film:
            return len(self.people[0])
        ids = [one.track_ids for one in self.people if one.track_ids is not None]
        return len(np.unique(np.concatenate(ids))) if ids else 0

    def draw(self, min_score: float) -> Path:
        """The photo or film with the people drawn on it, as a file.

        Args:
          min_score: the lowest score of a keypoint that is drawn.

        Raises:
          InputError: the upload is gone, or the file cannot be written.
        """
        path = self.folder / f"drawn_{min_score:.2f}{'.mp4' if self.is_film else '.jpg'}"
        if path.exists():
            return path
        if not self.source.exists():
            raise InputError(GONE)
        if not self.is_film:
            photo = decode_photo(self.source.read_bytes())
            save_image(path, _numbered(self.people[0]).draw(photo, min_score=min_score))
            return path
        with VideoWriter(path, self._rate()) as writer:
            for people, frame in self._frames():
                writer.write(people.draw(frame.image, min_score=min_score))
        return path

    def table(self, min_score: float) -> list[list[str | int | float]]:
        """Lines of `PHOTO_TABLE` or `FILM_TABLE`: keypoints of at least this score.

        x and y are in pixels of the photo. Of a film the first 2,000 lines.
        """
        columns = FILM_TABLE if self.is_film else PHOTO_TABLE
        lines: list[list[str | int | float]] = []
        for people in self.people:
            for row in people.rows():
                if row["score"] >= min_score:
                    lines.append([row[name] for name in columns])
            if len(lines) >= _LINES:
                return lines[:_LINES]
        return lines

    def told(self, min_score: float) -> str:
        """How many people, how well seen, how long it took, and what was left out."""
        if not self.count:
            what = "Nobody was found in this " + ("film" if self.is_film else "photo")
        else:
            scores = np.concatenate([one.scores.reshape(-1) for one in self.people])
            shown = int((scores >= min_score).sum())
            what = (
                f"{self.count} {'person' if self.count == 1 else 'people'}, {shown:,} of "
                f"{scores.size:,} keypoints score {min_score:.2f} or more"
            )
        frames = f"{len(self.people)} frames in " if self.is_film else ""
        notes = [note.removesuffix(".") for note in self.notes]
        return ". ".join([f"{what}; {frames}{self.seconds:.2f} s", *notes]) + "."

    def _rate(self) -> float:
        """Frames a second, by their time stamps: browsers' recordings declare none."""
        steps = np.diff([people.seconds or 0.0 for people in self.people])
        step = float(np.median(steps)) if len(steps) else 0.0
        return float(np.clip(1 / step, 1, 120)) if step > 0 else self.people[0].fps or 25.0

    def _frames(self) -> Iterator[tuple[People, Frame]]:
        """The film once more, beside what was found in it."""
        waiting = {people.index: people for people in self.people}
        for frame in open_video(self.source, lambda skipped: None):
            people = waiting.pop(frame.index, None)
            if people is not None:
                yield people, frame
            if not waiting:
                return


def _numbered(people: People) -> People:
    """With the numbers of the table, where there are several people to tell apart."""
    return replace(people, track_ids=np.arange(len(people))) if len(people) > 1 else people
