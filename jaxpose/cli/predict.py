"""`jaxpose predict`: photos in, named keypoints and drawn pictures out."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

import jaxpose
from jaxpose.cli.trained import Trained, load_trained
from jaxpose.errors import InputError
from jaxpose.infer.boxes import read_boxes, whole_photo
from jaxpose.infer.people import People
from jaxpose.infer.predictor import Predictor
from jaxpose.photo import list_photos, read_photo
from jaxpose.viz import draw_people, save_image

WHOLE_PHOTO = "full"
_LISTED = 20


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
      checkpoint: the one with the best held-out score, or the newest.
      flip_test: average with the mirrored image.
      min_score: the lowest score of a keypoint that is drawn.
      min_box_score: the lowest score of a box that is used.
      batch_size: people in one forward pass.
    """

    checkpoint: Literal["best", "last"] = "best"
    flip_test: bool = True
    min_score: float = 0.3
    min_box_score: float = 0.3
    batch_size: int = 8


@dataclass
class _Outcome:
    """What has been done so far; it is written out even if the rest is not reached."""

    photos: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

    @property
    def people(self) -> int:
        return sum(len(photo["people"]) for photo in self.photos)

    def faint(self, min_score: float) -> int:
        """How many people have no keypoint of `min_score`, so that nothing of them is drawn."""
        return sum(
            all(keypoint["score"] < min_score for keypoint in person["keypoints"].values())
            for photo in self.photos
            for person in photo["people"]
        )

    @property
    def skipped_boxes(self) -> list[str]:
        return [
            f"{photo['file']}: {box['reason']}"
            for photo in self.photos
            for box in photo.get("skipped_boxes", ())
        ]


def predict(
    photos: list[Path], run: Path, boxes: str, out: Path, options: Options | None = None
) -> int:
    """Predicts the people of photos and folders of photos.

    Writes `predictions.json` (named keypoints in pixels of the photo, scores in [0, 1]) and a
    picture for each photo into `out`. A photo that cannot be read is left out and reported.

    Returns:
      The exit status: 0, or 1 if a photo or a box was left out, or 2 if no photo could be read.

    Raises:
      InputError: no photos, a run or box file that cannot be used, or an `out` that cannot be
        written.
    """
    options = options or Options()
    outcome = _Outcome()
    paths = _gather(photos, outcome)
    boxes_of = _box_source(boxes, paths, options.min_box_score)
    pictures = _picture_names(paths, out)
    _make_writable(out)
    trained = load_trained(run, options.checkpoint)
    predictor = Predictor(
        trained.model,
        trained.variables,
        trained.codec,
        trained.skeleton,
        flip_test=options.flip_test,
        padding=trained.padding,
        batch_size=options.batch_size,
    )
    head = _head(trained, boxes, options)
    try:
        with _progress() as progress:
            bar = progress.add_task("photos", total=len(paths))
            for path, photo, people in _predictions(predictor, paths, boxes_of, outcome):
                picture = pictures[path]
                save_image(out / picture, _draw(photo, people, options.min_score))
                outcome.photos.append({"file": str(path), "picture": picture, **people.to_dict()})
                progress.update(bar, completed=len(outcome.photos) + len(outcome.skipped))
    finally:
        _write_json(
            out / "predictions.json",
            head | {"photos": outcome.photos, "skipped": outcome.skipped},
        )
    return _summarise(outcome, out, boxes, options.min_score)


def _gather(photos: list[Path], outcome: _Outcome) -> list[Path]:
    """All photos once each, folders opened; what is not there is noted as skipped."""
    found: dict[Path, None] = {}
    for path in photos:
        if path.is_dir():
            inside = list_photos(path)
            if not inside:
                outcome.skipped.append({"file": str(path), "reason": "the folder holds no photo"})
            found |= dict.fromkeys(inside)
        else:
            found[path] = None
    if not found:
        raise InputError(f"no photo in {', '.join(map(str, photos))}")
    return list(found)


def _box_source(
    boxes: str, paths: list[Path], min_score: float
) -> Callable[[Path, np.ndarray], np.ndarray]:
    if boxes == WHOLE_PHOTO:
        return lambda path, photo: whole_photo(photo.shape[:2])
    file = read_boxes(boxes, min_score)
    file.check_mentions(paths)
    return lambda path, photo: file.of(path)


def _picture_names(paths: list[Path], out: Path) -> dict[Path, str]:
    """A name in `out` for each photo's picture: its own, numbered where two photos share it."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        number = 1
        name = f"{path.stem}.png"
        while name in taken:
            number += 1
            name = f"{path.stem}-{number}.png"
        taken.add(name)
        names[path] = name
    originals = {path.resolve() for path in paths}
    for name in taken:
        if (out / name).resolve() in originals:
            raise InputError(
                f"the picture {out / name} would overwrite a photo of that name; "
                "choose another folder for --out"
            )
    return names


def _make_writable(out: Path) -> None:
    """Makes the folder, and finds out before the work begins whether it can be written."""
    probe = out / f".jaxpose-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write into {out}: {error.strerror}") from error


def _predictions(
    predictor: Predictor,
    paths: list[Path],
    boxes_of: Callable[[Path, np.ndarray], np.ndarray],
    outcome: _Outcome,
) -> Iterator[tuple[Path, np.ndarray, People]]:
    """(path, photo, people) of each photo that can be read, in order."""
    under_way: deque[tuple[Path, np.ndarray]] = deque()

    def readable() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for path in paths:
            try:
                photo = read_photo(path)
            except InputError as error:
                reason = str(error).removeprefix(str(path)).removeprefix(":").strip()
                outcome.skipped.append({"file": str(path), "reason": reason})
                continue
            under_way.append((path, photo))
            yield photo, boxes_of(path, photo)

    for people in predictor.stream(readable()):
        yield *under_way.popleft(), people


def _draw(photo: np.ndarray, people: People, min_score: float) -> np.ndarray:
    return draw_people(
        photo, people.keypoints, people.skeleton, scores=people.scores, min_score=min_score
    )


def _head(trained: Trained, boxes: str, options: Options) -> dict[str, Any]:
    skeleton = trained.skeleton
    return {
        "jaxpose": jaxpose.__version__,
        "units": "keypoints and boxes in pixels of the photo (pixel centres at integers), scores "
        "in [0, 1]",
        "model": {
            "run": str(trained.directory),
            "checkpoint": options.checkpoint,
            "step": trained.step,
        },
        "skeleton": {"name": skeleton.name, "keypoints": list(skeleton.keypoints)},
        "boxes": boxes,
        "flip_test": options.flip_test,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes the file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _summarise(outcome: _Outcome, out: Path, boxes: str, min_score: float) -> int:
    console, errors = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    done, failed = len(outcome.photos), len(outcome.skipped)
    if done:
        without = sum(
            not photo["people"] and "skipped_boxes" not in photo for photo in outcome.photos
        )
        note = f" ({without} without a box in {boxes})" if without else ""
        people = _count(outcome.people, "person", "people")
        console.print(f"{_count(done, 'photo')}{note}, {people}.", highlight=False)
        console.print(f"Written to {out}: predictions.json and a picture of each.", highlight=False)
    if faint := outcome.faint(min_score):
        console.print(
            f"{_count(faint, 'person', 'people')} not drawn: no keypoint scores {min_score} or "
            "more (--min-score).",
            style="yellow",
            highlight=False,
        )
    photos = [f"{entry['file']}: {entry['reason']}" for entry in outcome.skipped]
    boxes_left_out = outcome.skipped_boxes
    for what, lines in (
        (_count(len(photos), "photo"), photos),
        (_count(len(boxes_left_out), "box", "boxes"), boxes_left_out),
    ):
        if lines:
            errors.print(f"{what} left out:", style="yellow", highlight=False)
            for line in lines[:_LISTED]:
                errors.print(f"  {line}", markup=False, highlight=False)
            if len(lines) > _LISTED:
                errors.print(f"  and {len(lines) - _LISTED} more, in predictions.json")
    if not done:
        errors.print("No photo could be read.", style="bold red")
        return 2
    return 1 if failed or boxes_left_out else 0


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
