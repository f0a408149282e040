"""`jaxpose lift`: keypoints of a video to joints in 3D."""

import json
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from jaxpose.cli.lift_command import Lift
from jaxpose.cli.options import filled
from jaxpose.cli.results_file import chosen_track, read_source
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError, not_written
from jaxpose.media.video import open_video
from jaxpose.paths import atomic_write
from jaxpose.pipeline.lifting import open_lifter
from jaxpose.results.motion_files import FORMATS, LiftedTrack, document, save_lifted
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import Lifting, NotLifted, Track, lift_track, tracks_of
from jaxpose.viz import draw_people
from jaxpose.viz.pose3d import VIEW_WH, fitted


def lift(options: Lift) -> int:
    """Lifts the people of a file of predictions, and writes one of them in each format asked for.

    A `.json` holds all people, the other formats the one that `options.track` names. Tracks that
    cannot be lifted are reported; nothing is written if none, or not the chosen one, can be.

    Returns:
      The exit status: 0, or 1 if a track could not be lifted, or 2 if none could.

    Raises:
      InputError: a file, model or option that cannot be used.
    """
    for path in options.out:
        if path.suffix.lower() not in FORMATS:
            raise InputError(f"{path}: lifted joints can be written as {', '.join(FORMATS)}")
    lifting = filled(options, Lifting())
    results = read_source(options)
    tracks = tracks_of(results, lifting.fps, lifting.longest_gap)
    lifter = open_lifter(
        options.weights, options.checkpoint, lifting, trust_recipe=options.trust_recipe
    )
    chosen = chosen_track(tracks, options.track)
    kinds = {path.suffix.lower() for path in options.out}
    lifted, failures = _lifted(tracks if ".json" in kinds else [chosen], lifter, lifting)
    _report(failures)
    if options.track is None and lifted:
        chosen = next(track for track in tracks if id(track) in lifted)
    if id(chosen) not in lifted:
        return print_counts(_counts(tracks, [], len(failures)))
    counts = _counts(tracks, list(lifted.values()), len(failures))
    one = lifted[id(chosen)]
    drawn = bool(kinds & {".gif", ".mp4", ".png"})
    beside = None if options.video is None or not drawn else _beside(options.video, chosen)
    for path in options.out:
        if path.suffix.lower() == ".json":
            _write(path, list(lifted.values()), counts)
        else:
            save_lifted(path, one, images=beside)
    _summarise(one, chosen, len(tracks), options.out)
    return print_counts(counts)


def _counts(tracks: list[Track], lifted: list[LiftedTrack], failed: int) -> list[Counts]:
    """Tracks of the file, and the frames of those that were lifted."""
    others = len(tracks) - len(lifted) - failed
    of_tracks = Counts("tracks", len(lifted), {"not lifted": failed}, {"not chosen": others})
    if not lifted:
        return [of_tracks]
    frames = sum(len(track.frames) for track in lifted)
    posed = sum(int(np.isfinite(t.of_frames()).all(axis=(1, 2)).sum()) for t in lifted)
    return [of_tracks, Counts("frames", posed, excluded={"too few keypoints": frames - posed})]


def _lifted(
    tracks: list[Track], lifter: TrackLifter, lifting: Lifting
) -> tuple[dict[int, LiftedTrack], list[str]]:
    """Lift tracks, by their `id`; also a sentence for each that cannot be lifted."""
    lifted, failures = {}, []
    for track in tracks:
        try:
            lifted[id(track)] = lift_track(track, lifter, lifting)
        except NotLifted as error:
            failures.append(f"track {track.number}: {error}.")
    return lifted, failures


def _report(failures: list[str]) -> None:
    errors = PlainConsole(stderr=True)
    for failure in failures:
        errors.print(f"Not lifted: {failure}", style="yellow")


def _beside(video: Path, track: Track) -> list[np.ndarray]:
    """The frames of a track with its keypoints drawn on them, small.

    Raises:
      InputError: no video, one of another size or without some of the frames.
    """
    wanted = {int(frame): at for at, frame in enumerate(track.frames)}
    keypoints, scores = (track.clock.to_frames(v) for v in (track.keypoints, track.scores))
    shown: dict[int, np.ndarray] = {}
    for frame in open_video(video, lambda skipped: None):
        if frame.index > track.frames[-1]:
            break
        if frame.index not in wanted:
            continue
        at = wanted[frame.index]
        if frame.image.shape[1::-1] != tuple(track.image_wh):
            width, height = frame.image.shape[1::-1]
            raise InputError(
                f"{video} is {width} x {height}, its keypoints are of {track.image_wh}"
            )
        person, certain = keypoints[at][None], scores[at][None]
        drawn = draw_people(frame.image, person, track.skeleton, scores=certain)
        shown[at] = fitted(drawn, VIEW_WH)
    if len(shown) < len(wanted):
        raise InputError(f"{video} lacks {len(wanted) - len(shown)} of the {len(wanted)} frames")
    return [shown[at] for at in range(len(wanted))]


def _write(path: Path, lifted: list[LiftedTrack], counts: list[Counts]) -> None:
    content = {**document(lifted), "counts": [one.to_dict() for one in counts]}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(content, allow_nan=False) + "\n")
    except OSError as error:
        raise not_written(path, error) from error


def _summarise(lifted: LiftedTrack, track: Track, count: int, out: list[Path]) -> None:
    table = Table(show_header=False, show_edge=False)
    table.add_row("person", f"track {track.number}, of {count}")
    if track.note:
        table.add_row("frames", f"{len(track.frames)}. {track.note}.")
    else:
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
    table.add_row("written", Text(", ".join(map(str, out))))
    PlainConsole().print(table)  # paths stay whole
