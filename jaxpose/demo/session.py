"""From an upload to what is shown of it, by one pipeline."""

import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxpose.demo.limits import GONE, Limits, check_film, read_upload
from jaxpose.demo.result import DemoResult
from jaxpose.errors import InputError
from jaxpose.results.motion_files import save_lifted
from jaxpose.results.people import People
from jaxpose.results.writers import writer
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import lift_people

if TYPE_CHECKING:
    from jaxpose.pipeline import Pipeline

PHOTO, FILM = "photo", "film"
"""What uploads are called in files: their own names are the visitor's business."""


@dataclass(frozen=True)
class DemoSession:
    """Looks at uploads, one at a time.

    Attributes:
      pipeline: finds people and their keypoints.
      lifter: puts them into space as well; or None.
      limits: of what is taken.
      folder: of results, one folder each.
      head: what `predictions.json` says of the models.
    """

    pipeline: "Pipeline"
    lifter: TrackLifter | None
    limits: Limits
    folder: Path
    head: Mapping[str, Any]

    def warm_up(self) -> None:
        """Compiles the models, so that the first upload does not wait for it.

        Raises:
          InputError: a lifter that cannot be told where the keypoints are.
        """
        self.pipeline.warm_up()
        if self.lifter is not None:
            skeleton = self.pipeline.predictor.skeleton
            points = np.random.default_rng(0).uniform(0, 100, (1, skeleton.num_keypoints, 2))
            self.lifter(points, image_wh=(100, 100), skeleton=skeleton)

    def photo(self, upload: Path) -> DemoResult:
        """The people of a photo.

        Raises:
          InputError: what cannot be looked at.
        """
        image = read_upload(upload, self.limits)
        begun = time.perf_counter()
        people = self.pipeline(image)
        notes = [f"A box was left out: {box.reason}" for box in people.skipped]
        return self._found([replace(people, source=PHOTO, _photo=None)], upload, begun, notes)

    def film(self, upload: Path, progress: Callable[[int, int], None] | None = None) -> DemoResult:
        """The people of a film, up to the limit of its length.

        Args:
          upload: of any name.
          progress: called with the number of frames done, and of those there will be.

        Raises:
          InputError: what cannot be looked at.
        """
        # A name of ours: what is read from a path depends on how it ends.
        film = self._new_folder() / "film.mp4"
        try:
            shutil.copyfile(upload, film)
        except FileNotFoundError:
            raise InputError(GONE) from None
        check_film(film, self.limits)
        return self._film(film, progress)

    def without_folders(self, message: str) -> str:
        """A message for visitors: files of this page by their names alone."""
        return re.sub(rf"{re.escape(str(self.folder))}[\\/](\S*[\\/])?", "", message)

    def _film(self, film: Path, progress: Callable[[int, int], None] | None) -> DemoResult:
        begun, limits = time.perf_counter(), self.limits
        found: list[People] = []
        notes: list[str] = []
        with self.pipeline(str(film)) as results:
            total = min(results.count or limits.frames, limits.frames)
            for people in results:
                if len(found) == limits.frames or people.seconds > limits.film_seconds:
                    notes.append(f"The film is longer: this is it up to {people.seconds:.1f} s")
                    break
                found.append(replace(people, source=FILM, _photo=None))
                if progress is not None:
                    progress(len(found), max(total, len(found)))
            skipped = list(results.skipped)
        notes += [f"Left out: {one.reason}" for one in skipped]
        if not found:
            raise InputError("; ".join(one.reason for one in skipped) or "the film has no frame")
        return self._found(found, film, begun, notes)

    def _found(
        self, people: list[People], source: Path, begun: float, notes: list[str]
    ) -> DemoResult:
        folder = source.parent if people[0].seconds is not None else self._new_folder()
        space = None
        if self.lifter is not None and any(map(len, people)):
            people, space = self._lifted(people, self.lifter, folder, notes)
        seconds = time.perf_counter() - begun
        name = "photos" if people[0].seconds is None else "frames"
        for kind in ("json", "csv"):
            skeleton = self.pipeline.predictor.skeleton
            file = writer(kind, folder, skeleton, self.head, name=name)
            for one in people:
                file.write(one)
            file.close()
        return DemoResult(tuple(people), source, folder, seconds, tuple(notes), space)

    def _lifted(
        self, people: list[People], lifter: TrackLifter, folder: Path, notes: list[str]
    ) -> tuple[list[People], Path | None]:
        """With joints, and a picture of whoever is seen longest."""
        people, tracks = lift_people(
            people, lifter, report=lambda why: notes.append(f"Not lifted: {why}")
        )
        if not any(track.seen.any() for track in tracks):
            return people, None
        track = next(track for track in tracks if track.seen.any())
        save_lifted(folder / "space.png", track)
        return people, folder / "space.png"

    def _new_folder(self) -> Path:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        return folder
