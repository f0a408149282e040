"""`jaxpose fit`: keypoints of people to bodies with a mesh."""

from typing import NamedTuple

import numpy as np

from jaxpose.bodies import Body, drawn_body, drawn_faces, read_body
from jaxpose.bodies.fit import Fitted
from jaxpose.bodies.fit_tracks import Smoothing, fit_tracks
from jaxpose.bodies.hands import hand_of_side, hand_prior, hand_side
from jaxpose.bodies.learnt_prior import read_prior
from jaxpose.bodies.prior import PosePrior
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.fit_dataset import fit_dataset
from jaxpose.cli.fit_lifted import fit_lifted
from jaxpose.cli.fit_output import FitOutput, camera_of, check_paths, chosen_people, seconds_of
from jaxpose.cli.fit_settings import check_gender_option, fitting_of
from jaxpose.cli.results_file import read_source
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, counted, print_counts
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera
from jaxpose.media.image import missing
from jaxpose.results.hands import one_hand
from jaxpose.results.lifted_files import read_lifted
from jaxpose.results.people import People

POOR = 0.05
"""Error of a fit that is named, in longer sides of the keypoints' extent."""

_LISTED = 5


class _Row(NamedTuple):
    """One person: its image in the file, its number there, its frame and track (-1: none)."""

    image: int
    person: int
    frame: int
    track: int


def fit(options: Fit) -> int:
    """Fits a body to each person of a file, and writes each format asked for.

    Returns:
      The exit status: 0, or 1 if a person could not be fitted, or 2 if none could.

    Raises:
      InputError: a file, body or option that cannot be used.
    """
    if options.source.is_dir():
        return fit_dataset(options)
    if options.split is not None:
        if not options.source.exists():
            raise InputError(f"{missing(options.source)}.")
        raise InputError(f"--split is for the folder of a dataset; {options.source} is none.")
    check_paths(options)
    body, faces, gender, prior = _body(options)
    if options.prior is not None:
        prior = read_prior(options.prior).of(body)
    lifted = read_lifted(options.source)
    if lifted is not None:
        return fit_lifted(options, lifted, body, faces, gender, prior)
    results = chosen_people(read_source(options), options)
    side = hand_side(body)
    if side:
        results = [one_hand(people, side) for people in results]
    rows = [
        _Row(
            at,
            number,
            -1 if people.index is None else people.index,
            -1 if person.track_id is None else person.track_id,
        )
        for at, people in enumerate(results)
        for number, person in enumerate(people)
    ]
    if not rows:
        where = f" in {options.only}" if options.only else ""
        raise InputError(f"{options.source} has no person{where}")
    output = FitOutput(results, options)  # may refuse, so it comes before the fit
    fitted = _fitted(body, prior, results, rows, options)
    there = np.isfinite(fitted.error)
    counts = [Counts("people", int(there.sum()), {"fewer than 6 keypoints": int((~there).sum())})]
    if not there.any():
        return print_counts(counts)
    kept = Fitted(*(value[there] for value in fitted))
    rows = [row for row, found in zip(rows, there, strict=True) if found]
    columns = {
        "image": np.array([row.image for row in rows]),
        "person": np.array([row.person for row in rows]),
        "frame": np.array([row.frame for row in rows]),
        "track_id": np.array([row.track for row in rows]),
        "source": np.array([results[row.image].source for row in rows]),
        "error_px": kept.error,
    }
    if side:
        columns["side"] = np.full(len(rows), side)
    output.write(body, faces, gender, kept, columns)
    console = PlainConsole()
    console.print(
        f"{counted(len(rows), 'people')}, body {body.name!r}; median reprojection error "
        f"{np.median(kept.error):.1f} pixels. Written: {', '.join(map(str, options.out))}"
    )
    if poor := _poor(results, rows, kept.error, options.min_score):
        console.print(
            f"{counted(len(poor), 'people')} fitted badly, by more than {POOR:.0%} of their size; "
            f"are the keypoints those of one person? {'; '.join(poor[:_LISTED])}"
            f"{'; ...' if len(poor) > _LISTED else ''}",
            style="yellow",
        )
    return print_counts(counts)


def _poor(
    results: list[People], rows: list[_Row], error: np.ndarray, min_score: float
) -> list[str]:
    """Names of the people whose error, pixels `[N]`, is large beside the extent of keypoints."""
    poor = []
    for row, pixels in zip(rows, error, strict=True):
        people = results[row.image]
        points = people.keypoints[row.person]
        seen = points[(people.scores[row.person] >= min_score) & np.isfinite(points).all(axis=1)]
        if pixels > POOR * np.ptp(seen, axis=0).max():
            frame = "" if row.frame < 0 else f", frame {row.frame}"
            poor.append(f"person {row.person} of {people.source}{frame} ({pixels:.0f} pixels)")
    return poor


def _body(options: Fit) -> tuple[Body, np.ndarray, str, PosePrior | None]:
    """The body model, its faces and gender, and the prior of a hand."""
    check_gender_option(options)
    file = None if options.body is None else read_body(options.body, gender=options.gender)
    hand = file is not None and file.body.name == "mano"
    if options.hand is not None and not hand:
        raise InputError("--hand is for --body with a file of MANO: leave it out.")
    if file is None:
        return drawn_body(), drawn_faces(), "", None
    if not hand:
        return file.body, file.faces, file.gender, None
    file = hand_of_side(file, options.hand or hand_side(file.body), str(options.body))
    return file.body, file.faces, file.gender, hand_prior(file)


def _fitted(
    body: Body, prior: PosePrior | None, results: list[People], rows: list[_Row], options: Fit
) -> Fitted:
    settings = fitting_of(options)
    skeleton = results[0].skeleton
    keypoints = np.stack([results[row.image].keypoints[row.person] for row in rows])
    scores = np.stack([results[row.image].scores[row.person] for row in rows])
    views = [camera_of(results[row.image], options.focal) for row in rows]
    cameras = Camera(*(np.stack(field) for field in zip(*views, strict=True)))
    tracks, seconds = _tracks(results, rows, options)
    seen = keypoints, scores, cameras, tracks, seconds
    return fit_tracks(body, skeleton, *seen, settings, prior, Smoothing(options.smooth))


def _tracks(results: list[People], rows: list[_Row], options: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Number of each person's track, -1 for none, and the time of its frame; both `[N]`.

    Raises:
      InputError: a frame has two people of one track.
    """
    numbers: dict[tuple[str, int], int] = {}
    tracks = np.full(len(rows), -1)
    taken = set()
    for at, row in enumerate(rows):
        if row.frame < 0 or row.track < 0 or not options.smooth:
            continue
        source = results[row.image].source
        if (source, row.frame, row.track) in taken:
            raise InputError(
                f"{source}, frame {row.frame}: two people have the track id {row.track}; a track "
                "is one person. Predict with tracking again, or fit every frame alone with "
                "--smooth 0"
            )
        taken.add((source, row.frame, row.track))
        tracks[at] = numbers.setdefault((source, row.track), len(numbers))
    return tracks, np.array([seconds_of(results[row.image]) for row in rows])
