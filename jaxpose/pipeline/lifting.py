"""Joints in 3D for the people of whole videos, by a lifter: after tracking, video by video."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from jaxpose.hub.load import load_lifter
from jaxpose.media.frames import Skipped
from jaxpose.media.prefetch import StageTimer
from jaxpose.results.motion_files import LiftedTrack
from jaxpose.results.people import People
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import Lifting, lift_people


class LiftedVideo(NamedTuple):
    """A video, or an image, whose people have joints.

    Attributes:
      source: the video or image.
      frames: the people of each frame with `joints`, without the images of a video.
      tracks: the tracks that were lifted, the longest first.
      not_lifted: a sentence for each track that could not be lifted.
    """

    source: str
    frames: list[People]
    tracks: list[LiftedTrack]
    not_lifted: list[str]

    @property
    def notes(self) -> list[str]:
        """A sentence for the longest track that was resampled, because frames are not even."""
        return [track.note for track in self.tracks if track.note][:1]

    @property
    def skipped(self) -> list[Skipped]:
        """`not_lifted` as entries of `Results.skipped`."""
        return [
            Skipped(self.source, f"not lifted: {reason}", None, "tracks", 1, "not lifted")
            for reason in self.not_lifted
        ]


def open_lifter(
    where: str | Path,
    checkpoint: Literal["best", "last"] = "best",
    options: Lifting | None = None,
    *,
    trust_recipe: bool = False,
) -> TrackLifter:
    """The lifter of a published name, a run directory or a release, ready for tracks.

    Raises:
      InputError: as `hub.load.load_lifter`.
    """
    options = options or Lifting()
    trained = load_lifter(where, checkpoint, trust_recipe=trust_recipe)
    lifter: TrackLifter = trained.predictor(
        flip_test=options.flip_test, trained_fps=options.trained_fps
    )
    return lifter


def lift_videos(
    frames: Iterable[People],
    lifter: TrackLifter,
    options: Lifting | None = None,
    stages: StageTimer | None = None,
) -> Iterator[LiftedVideo]:
    """Lifts each video when its last frame has come, since a lifter needs whole tracks.

    The frames of one video are kept meanwhile, without their images. An image on its own is a
    track of one frame.

    Args:
      frames: of one or several videos, one after the other.
      stages: counts the time of the stage "lift".

    Raises:
      InputError: as `tracks_of`.
    """
    stages = stages or StageTimer()
    video: list[People] = []
    for people in frames:
        if video and people.source != video[0].source:
            yield _lifted(video, lifter, options, stages)
            video = []
        video.append(replace(people, _image=None) if people.seconds is not None else people)
    if video:
        yield _lifted(video, lifter, options, stages)


def _lifted(
    video: list[People], lifter: TrackLifter, options: Lifting | None, stages: StageTimer
) -> LiftedVideo:
    source, failures, tracks = video[0].source, list[str](), list[LiftedTrack]()
    if any(map(len, video)):
        with stages("lift", len(video)):
            video, tracks = lift_people(video, lifter, options, report=failures.append)
    return LiftedVideo(source, video, tracks, failures)
