"""`jaxpose lift`: keypoints of a film in, joints in space out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.errors import InputError
from jaxpose.hub.load import load_lifter
from jaxpose.media.video import open_video
from jaxpose.motion.clean import Cleaning
from jaxpose.results.motion_files import FORMATS, LiftedTrack, document, save_lifted
from jaxpose.results.readers import read_results
from jaxpose.skeletons import load
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import Lifting, Track, lift_track, tracks_of
from jaxpose.viz import draw_people
from jaxpose.viz.pose3d import VIEW_WH, fitted


@dataclass(frozen=True)
class Options:
    """How to lift.

    Attributes:
      checkpoint: of a run, the one with the best held-out score, or the newest.
      track: the number of the person; None for the one seen in most frames.
      film: what the keypoints are of, to stand beside pictures.
      skeleton, size: of a bare list of keypoints: a name or file, and WIDTHxHEIGHT.
      fps: frames per second, where the file does not say or is wrong.
      trained_fps: of the lifter's training, where it does not say itself.
      focal: focal length in pixels, to place people before the camera.
      tilt: degrees by which the camera looks down; None makes people upright.
      same_camera: the film is by the cameras that the lifter was trained on.
      flip_test: average with the mirror image.
      min_score: keypoints below are missing.
      smooth: seconds that each pose is smoothed over; 0 does not.
      rigid: keep the bones' lengths.
      trust_recipe: run code that came with the lifter.
    """

    checkpoint: Literal["best", "last"] = "best"
    track: int | None = None
    film: Path | None = None
    skeleton: str | None = None
    size: str | None = None
    fps: float | None = None
    trained_fps: float | None = None
    focal: float | None = None
    tilt: float | None = None
    same_camera: bool = False
    flip_test: bool = True
    min_score: float = 0.3
    smooth: float = 0.25
    rigid: bool = True
    trust_recipe: bool = False

    @property
    def lifting(self) -> Lifting:
        """For `infer.clips`."""
        return Lifting(
            refit=not self.same_camera,
            min_score=self.min_score,
            cleaning=Cleaning(self.smooth, self.rigid),
            focal=self.focal,
            tilt=self.tilt,
            fps=self.fps,
        )


def lift(
    source: Path, out: list[Path], weights: str | Path, options: Options | None = None
) -> None:
    """Lifts the people of a file of predictions, and writes one of them in each format asked for.

    A `.json` holds all people, the other formats the one that `track` names.

    Raises:
      InputError: a file, model or option that cannot be used; nobody that can be lifted.
    """
    options = options or Options()
    for path in out:
        if path.suffix.lower() not in FORMATS:
            raise InputError(f"{path}: lifted joints can be written as {', '.join(FORMATS)}")
    size = None if options.size is None else _size(options.size)
    skeleton = None if options.skeleton is None else load(options.skeleton)
    tracks = tracks_of(read_results(source, skeleton=skeleton, image_wh=size), options.fps)
    lifter = open_lifter(weights, options)
    chosen = _chosen(tracks, options.track)
    wanted = tracks if any(path.suffix.lower() == ".json" for path in out) else [chosen]
    lifted = {id(track): lift_track(track, lifter, options.lifting) for track in wanted}
    one = lifted[id(chosen)]
    drawn = any(path.suffix.lower() in (".gif", ".mp4", ".png") for path in out)
    beside = None if options.film is None or not drawn else _beside(options.film, chosen)
    for path in out:
        if path.suffix.lower() == ".json":
            _write(path, list(lifted.values()))
        else:
            save_lifted(path, one, photos=beside)
    _summarise(one, chosen, len(tracks), out)


def open_lifter(weights: str | Path, options: Options) -> TrackLifter:
    """The lifter of a run directory or a release, ready for tracks."""
    trained = load_lifter(weights, options.checkpoint, trust_recipe=options.trust_recipe)
    return trained.predictor(flip_test=options.flip_test, trained_fps=options.trained_fps)


def _beside(film: Path, track: Track) -> list[np.ndarray]:
    """The frames of a track with its keypoints drawn on them, small.

    Raises:
      InputError: no film, one of another size or without some of the frames.
    """
    wanted = {int(frame): at for at, frame in enumerate(track.frames)}
    shown: dict[int, np.ndarray] = {}
    for frame in open_video(film, lambda skipped: None):
        if frame.index > track.frames[-1]:
            break
        if frame.index not in wanted:
            continue
        at = wanted[frame.index]
        if frame.image.shape[1::-1] != tuple(track.image_wh):
            width, height = frame.image.shape[1::-1]
            raise InputError(f"{film} is {width} x {height}, its keypoints are of {track.image_wh}")
        person, scores = track.keypoints[at][None], track.scores[at][None]
        drawn = draw_people(frame.image, person, track.skeleton, scores=scores)
        shown[at] = fitted(drawn, VIEW_WH)
    if len(shown) < len(wanted):
        raise InputError(f"{film} lacks {len(wanted) - len(shown)} of the {len(wanted)} frames")
    return [shown[at] for at in range(len(wanted))]


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"--size {text!r} is not WIDTHxHEIGHT, such as 1280x720") from None
    return width, height


def _chosen(tracks: list[Track], number: int | None) -> Track:
    for track in tracks:
        if number is None or track.number == number:
            return track
    there = ", ".join(str(track.number) for track in tracks)
    raise InputError(f"there is no track {number}; there are {there}")


def _write(path: Path, lifted: list[LiftedTrack]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(lifted), allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _summarise(lifted: LiftedTrack, track: Track, count: int, out: list[Path]) -> None:
    table = Table(show_header=False, show_edge=False)
    table.add_row("person", f"track {track.number}, of {count}")
    table.add_row("frames", f"{len(track.frames)} at {track.fps:g} a second")
    table.add_row("joints", f"{lifted.skeleton.num_keypoints}, {lifted.skeleton.name}")
    if lifted.quality is not None:
        seen, spread, beyond = (100 * value for value in lifted.quality)
        table.add_row("seen", f"in {seen:.0f} % of the frames")
        if np.isfinite(spread):
            table.add_row("as lifted", f"bones' lengths vary by {spread:.1f} %")
        if np.isfinite(beyond):
            table.add_row("", f"{beyond:.1f} % of elbows and knees bend too far")
    table.add_row("camera", f"looks {lifted.tilt:.0f} degrees down")
    table.add_row("written", ", ".join(map(str, out)))
    Console(soft_wrap=True).print(table, highlight=False)
