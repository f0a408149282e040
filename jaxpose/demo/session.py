"""From an upload to its result, by one pipeline."""

import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxpose.demo.limits import GONE, Limits, check_video, read_upload
from jaxpose.demo.result import DemoResult
from jaxpose.errors import InputError
from jaxpose.media.sources import open_media
from jaxpose.results.motion_files import LiftedTrack, save_lifted
from jaxpose.results.people import People
from jaxpose.results.writers import writer
from jaxpose.skeletons import Skeleton

if TYPE_CHECKING:
    from jaxpose.pipeline import Holistic, Pipeline

PHOTO, FILM = "photo", "film"
"""Names of uploads in files: visitors' own names may be private."""


@dataclass(frozen=True)
class DemoSession:
    """Predicts on uploads, one at a time.

    Attributes:
      pipeline: finds people and their keypoints and, with a lifter, their joints in 3D.
      limits: limits of uploads.
      folder: folder of the results, with a folder for each.
      head: head of `predictions.json`, with the names of the models.
      described: line about the models.
    """

    pipeline: "Pipeline | Holistic"
    limits: Limits
    folder: Path
    head: Mapping[str, Any]
    described: str = ""

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the keypoints."""
        return self.pipeline.skeleton

    def warm_up(self) -> None:
        """Compiles the models, so that the first upload does not wait for it.

        Raises:
          InputError: a lifter that needs other keypoints than the model finds.
        """
        self.pipeline.warm_up()
        if self.pipeline.lifter is not None:
            (video,) = self.pipeline.lift([_random_person(self.skeleton)])
            if video.not_lifted:
                raise InputError("; ".join(video.not_lifted))

    def image(self, upload: Path) -> DemoResult:
        """The people of an image.

        Raises:
          InputError: an upload that is refused or cannot be read.
        """
        image = read_upload(upload, self.limits)
        begun = time.perf_counter()
        with self.pipeline.results(open_media(image), lift=False) as results:
            people = next(results, None)
        if people is None:
            raise InputError("; ".join(one.reason for one in results.skipped))
        notes = [f"A box was left out: {box.reason}" for box in people.skipped]
        return self._result([replace(people, source=PHOTO, _image=None)], upload, begun, notes)

    def video(self, upload: Path, progress: Callable[[int, int], None] | None = None) -> DemoResult:
        """The people of a video, up to the limit of its length.

        Args:
          upload: a file of any name.
          progress: called with the number of frames done, and of those there will be.

        Raises:
          InputError: an upload that is refused or cannot be read.
        """
        # A name of our own: the kind of a file follows from how its name ends.
        video = self._new_folder() / "film.mp4"
        try:
            shutil.copyfile(upload, video)
        except FileNotFoundError:
            raise InputError(GONE) from None
        check_video(video, self.limits)
        begun, limits = time.perf_counter(), self.limits
        frames: list[People] = []
        notes: list[str] = []
        begin: float | None = None
        with self.pipeline.results(open_media(str(video)), lift=False) as results:
            total = min(results.count or limits.frames, limits.frames)
            for people in results:
                stamp = people.seconds or 0.0
                begin = stamp if begin is None else begin
                seconds = stamp - begin
                if len(frames) == limits.frames or seconds > limits.max_video_seconds:
                    notes.append(f"The video is longer: this is it up to {seconds:.1f} s")
                    break
                frames.append(replace(people, source=FILM, _image=None))
                if progress is not None:
                    progress(len(frames), max(total, len(frames)))
            skipped = list(results.skipped)
        notes += [f"Left out: {one.reason}" for one in skipped]
        if not frames:
            raise InputError("; ".join(one.reason for one in skipped) or "the video has no frame")
        return self._result(frames, video, begun, notes)

    def _result(
        self, frames: list[People], source: Path, begun: float, notes: list[str]
    ) -> DemoResult:
        """Lifts the people if there is a lifter, and writes the files."""
        folder = source.parent if frames[0].seconds is not None else self._new_folder()
        view_3d = None
        if self.pipeline.lifter is not None:
            (video,) = self.pipeline.lift(frames)
            frames = video.frames
            notes += [f"Not lifted: {reason}" for reason in video.not_lifted]
            view_3d = _view_3d(video.tracks, folder / "space.png")
        seconds = time.perf_counter() - begun
        name = "photos" if frames[0].seconds is None else "frames"
        for kind in ("json", "csv"):
            file = writer(kind, folder, self.skeleton, self.head, name=name)
            for one in frames:
                file.write(one)
            file.close()
        return DemoResult(tuple(frames), source, folder, seconds, tuple(notes), view_3d)

    def _new_folder(self) -> Path:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        return folder


def _view_3d(tracks: list[LiftedTrack], path: Path) -> Path | None:
    """Writes an image of the person seen longest; None if no person has joints."""
    track = next((track for track in tracks if track.seen.any()), None)
    if track is None:
        return None
    save_lifted(path, track)
    return path


def _random_person(skeleton: Skeleton) -> People:
    """A person with random keypoints, to run a lifter on."""
    points = np.random.default_rng(0).uniform(0, 100, (1, skeleton.num_keypoints, 2))
    scores, box = np.ones(points.shape[:2], np.float32), np.ones((1, 4), np.float32)
    return People(skeleton, (100, 100), points.astype(np.float32), scores, box, np.arange(1))
