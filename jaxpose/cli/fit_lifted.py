"""`jaxpose fit` of a file that `jaxpose lift` wrote: bodies of joints in 3D."""

from dataclasses import replace

import numpy as np

from jaxpose.bodies import Body
from jaxpose.bodies.fit import Fitted
from jaxpose.bodies.fit_tracks import Smoothing, fit_tracks
from jaxpose.bodies.prior import PosePrior
from jaxpose.bodies.saving import save_parameters
from jaxpose.bodies.scene import BodyScene, track_numbers
from jaxpose.bodies.scene_files import FORMATS, save_scene
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.fit_settings import fitting_of
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, counted, print_counts
from jaxpose.errors import InputError
from jaxpose.results.lifted_files import LiftedFile

_OTHERS = ("image", "only", "focal", "skeleton", "size", "hand")


def fit_lifted(
    options: Fit,
    lifted: LiftedFile,
    body: Body,
    faces: np.ndarray,
    gender: str,
    prior: PosePrior | None,
) -> int:
    """Fits a body to the 3D joints of each person, in the frame of the file, and writes files.

    Returns:
      The exit status, as `cli.fit.fit`.

    Raises:
      InputError: options that are for keypoints in images; no such track or frame; motion of
        several tracks; as `bodies.scene.track_numbers`.
    """
    for name in _OTHERS:
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for keypoints in images, not for a file of `lift`.")
    for path in options.out:
        if path.suffix.lower() not in (".npz", *FORMATS):
            raise InputError(
                f"{path}: bodies of joints in 3D can be written as .npz, {', '.join(FORMATS)}"
            )
    lifted = _chosen(lifted, options)
    settings, smoothing = fitting_of(options), Smoothing(options.smooth)
    given = lifted.joints_mm, None, None, lifted.tracks, lifted.seconds
    fitted = fit_tracks(body, lifted.skeleton, *given, settings, prior, smoothing)
    there = np.isfinite(fitted.error)
    counts = [Counts("people", int(there.sum()), {"fewer than 6 keypoints": int((~there).sum())})]
    if not there.any():
        return print_counts(counts)
    kept = Fitted(*(value[there] for value in fitted))
    tracks, frames, seconds = (v[there] for v in (lifted.tracks, lifted.frames, lifted.seconds))
    values = kept.shape, kept.rotations, kept.translation
    scene = BodyScene(
        *(body, faces, str(options.source), *values),
        people=tracks,
        frames=frames,
        seconds=seconds,
        track_ids=tracks,
        fps=lifted.fps,
    )
    columns = {"frame": frames, "track_id": tracks, "seconds": seconds, "error_mm": kept.error}
    for path in options.out:
        if path.suffix.lower() == ".npz":
            save_parameters(path, body, *values, columns, gender)
        else:
            save_scene(path, scene, options.frame)
    PlainConsole().print(
        f"{counted(len(tracks), 'people')}, body {body.name!r}; median error of the joints "
        f"{np.median(kept.error):.0f} mm. Written: {', '.join(map(str, options.out))}"
    )
    return print_counts(counts)


def _chosen(lifted: LiftedFile, options: Fit) -> LiftedFile:
    """The people of the chosen track, after checks of what is written."""
    track_numbers(str(options.source), lifted.frames, lifted.seconds, lifted.tracks)
    there = np.unique(lifted.tracks)
    listed = ", ".join(map(str, there))
    if options.track is not None:
        own = lifted.tracks == options.track
        if not own.any():
            raise InputError(
                f"{options.source} has no track {options.track}; its tracks are {listed}"
            )
        values = (lifted.joints_mm, lifted.tracks, lifted.frames, lifted.seconds)
        joints, tracks, frames, seconds = (value[own] for value in values)
        lifted = replace(lifted, joints_mm=joints, tracks=tracks, frames=frames, seconds=seconds)
    kinds = {path.suffix.lower() for path in options.out}
    if ".bvh" in kinds and len(np.unique(lifted.tracks)) > 1:
        raise InputError(
            f".bvh is the motion of one person, and {options.source} has the tracks {listed}: "
            "choose one with --track"
        )
    if options.frame is not None and options.frame not in lifted.frames:
        raise InputError(f"{options.source} has no person in frame {options.frame}")
    if options.frame is not None and ".bvh" in kinds:
        raise InputError("--frame chooses one frame and .bvh is motion: leave one of them out.")
    return lifted
