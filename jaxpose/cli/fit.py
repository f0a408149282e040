"""`jaxpose fit`: keypoints of people to bodies with a mesh."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxpose.bodies import Body, drawn_body, drawn_faces, pose_body, read_body
from jaxpose.bodies.fit import Fitted, Fitting, fit_body, fit_in_groups
from jaxpose.bodies.hands import hand_of_side, hand_prior, hand_side
from jaxpose.bodies.learnt_prior import read_prior
from jaxpose.bodies.prior import PosePrior
from jaxpose.bodies.saving import save_obj, save_parameters
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.fit_dataset import fit_dataset
from jaxpose.cli.options import filled
from jaxpose.cli.results_file import read_source
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, centred_camera, look_at
from jaxpose.media.image import is_image_file, read_image
from jaxpose.media.video import open_video
from jaxpose.results.hands import one_hand
from jaxpose.results.people import People
from jaxpose.viz import contact_sheet, save_image
from jaxpose.viz.meshes import draw_meshes

_FORMATS = (".npz", ".obj", ".png", ".jpg", ".jpeg")
_BATCH = 32  # people at a time
_BLACK_LIGHT = 40  # background of the view from the side


class _Row(NamedTuple):
    """One person: its image in the file, its number there, its frame and track (-1: none)."""

    image: int
    person: int
    frame: int
    track: int


def fit(options: Fit) -> int:
    """Fits a body to each person of a file of predictions, and writes each format asked for.

    Returns:
      The exit status: 0, or 1 if a person could not be fitted, or 2 if none could.

    Raises:
      InputError: a file, body or option that cannot be used.
    """
    if options.source.is_dir():
        return fit_dataset(options)
    if options.split is not None:
        raise InputError(f"--split is for the folder of a dataset; {options.source} is none.")
    for path in options.out:
        if path.suffix.lower() not in _FORMATS:
            raise InputError(f"{path}: bodies can be written as {', '.join(_FORMATS)}")
    body, faces, gender, prior = _body(options)
    if options.prior is not None:
        prior = read_prior(options.prior).of(body)
    results = read_source(options)
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
        raise InputError(f"{options.source} has no person")
    fitted = _fitted(body, prior, results, rows, options)
    there = np.isfinite(fitted.error)
    counts = [Counts("people", int(there.sum()), {"fewer than 6 keypoints": int((~there).sum())})]
    if not there.any():
        return print_counts(counts)
    kept = Fitted(*(value[there] for value in fitted))
    rows = [row for row, found in zip(rows, there, strict=True) if found]
    for path in options.out:
        if path.suffix.lower() == ".npz":
            columns = {
                "image": np.array([row.image for row in rows]),
                "person": np.array([row.person for row in rows]),
                "frame": np.array([row.frame for row in rows]),
                "track_id": np.array([row.track for row in rows]),
                "source": np.array([results[row.image].source for row in rows]),
            }
            columns["error_px"] = kept.error
            if side:
                columns["side"] = np.full(len(rows), side)
            found = kept.shape, kept.rotations, kept.translation
            save_parameters(path, body, *found, columns, gender)
    shown = [path for path in options.out if path.suffix.lower() != ".npz"]
    if shown:
        _show(shown, body, faces, results, rows, kept, options)
    console = PlainConsole()
    console.print(
        f"{len(rows)} people, body {body.name!r}; median reprojection error "
        f"{np.median(kept.error):.1f} pixels. Written: {', '.join(map(str, options.out))}"
    )
    return print_counts(counts)


def _body(options: Fit) -> tuple[Body, np.ndarray, str, PosePrior | None]:
    """The body model, its faces and gender, and the prior of a hand."""
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


def _camera(people: People, focal: float | None) -> Camera:
    """Camera of an image; without a focal length, that of its diagonal."""
    focal = focal or float(np.hypot(*people.image_hw))
    return centred_camera(focal, people.image_hw)


def _fitted(
    body: Body, prior: PosePrior | None, results: list[People], rows: list[_Row], options: Fit
) -> Fitted:
    settings = filled(options, Fitting())
    skeleton = results[0].skeleton
    keypoints = np.stack([results[row.image].keypoints[row.person] for row in rows])
    scores = np.stack([results[row.image].scores[row.person] for row in rows])
    views = [_camera(results[row.image], options.focal) for row in rows]
    cameras = Camera(*(np.stack(field) for field in zip(*views, strict=True)))

    def group(take: np.ndarray) -> Fitted:
        seen = keypoints[take], scores[take], cameras.take(take)
        return fit_body(body, skeleton, *seen, settings, prior)

    return fit_in_groups(len(rows), min(_BATCH, len(rows)), group)


def _show(
    paths: list[Path],
    body: Body,
    faces: np.ndarray,
    results: list[People],
    rows: list[_Row],
    fitted: Fitted,
    options: Fit,
) -> None:
    """Writes meshes and drawings of the people of one image."""
    at = rows[0].image
    if options.frame is not None:
        frames = {row.frame: row.image for row in rows}
        if options.frame not in frames:
            raise InputError(f"no body was fitted in frame {options.frame} of {options.source}")
        at = frames[options.frame]
    own = [number for number, row in enumerate(rows) if row.image == at]
    values = (jnp.asarray(v[own]) for v in (fitted.shape, fitted.rotations, fitted.translation))
    meshes = list(np.asarray(pose_body(body, *values).vertices, np.float64))
    names = [f"person_{rows[number].person}" for number in own]
    for path in paths:
        if path.suffix.lower() == ".obj":
            save_obj(path, meshes, faces, names)
        else:
            save_image(path, _drawing(meshes, faces, results[at], options))


def _drawing(
    meshes: list[np.ndarray], faces: np.ndarray, people: People, options: Fit
) -> np.ndarray:
    """The image with the bodies over it, beside the bodies from their right side."""
    height, width = people.image_hw
    if options.image is None:
        image = np.full((height, width, 3), _BLACK_LIGHT, np.uint8)
    else:
        image = _image(options.image, people)
    camera = _camera(people, options.focal)
    front = draw_meshes(image, meshes, faces, camera)
    side = draw_meshes(
        np.full_like(image, _BLACK_LIGHT), meshes, faces, _side_camera(meshes, image)
    )
    return contact_sheet([front, side], columns=2, captions=["camera", "right side"])


def _side_camera(meshes: list[np.ndarray], image: np.ndarray) -> Camera:
    """Camera at the right side of the scene that has all meshes in its image."""
    points = np.concatenate(meshes)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    away = 4 * radius
    R, t = look_at(middle - np.array([away, 0.0, 0.0]), middle, np.array([0.0, -1.0, 0.0]))
    height, width = image.shape[:2]
    focal = 0.47 * min(height, width) * (away - radius) / radius
    return centred_camera(focal, (height, width), R, t)


def _image(path: Path, people: People) -> np.ndarray:
    if is_image_file(path):
        image = read_image(path)
    else:
        frames = open_video(path, lambda skipped: None)
        found = next(islice(frames, people.index or 0, None), None)
        if found is None:
            raise InputError(f"{path} has no frame {people.index}")
        image = found.image
    if image.shape[:2] != tuple(people.image_hw):
        raise InputError(
            f"{path} is {image.shape[1]} x {image.shape[0]}, its keypoints are of an image of "
            f"{people.image_hw[1]} x {people.image_hw[0]}"
        )
    return image
