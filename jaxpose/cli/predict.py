"""`jaxpose predict`: photos and films in, named keypoints, tables and drawn pictures out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxpose.cli.overview import Heatmaps, Overview
from jaxpose.cli.predict_summary import (
    PredictSummary,
    head_of,
    make_writable,
    picture_names,
    summarise,
)
from jaxpose.codecs.visualize import has_maps
from jaxpose.errors import InputError, nearest
from jaxpose.hub.load import Trained, load_detector, load_lifter, load_pose
from jaxpose.media.prefetch import ahead
from jaxpose.media.sources import Media, open_media
from jaxpose.media.video import Skipped, is_address
from jaxpose.pipeline.options import Options as Steps
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.results.box_files import BoxFile, read_boxes
from jaxpose.results.people import People
from jaxpose.results.writers import FORMATS, Writer, writer
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import lift_people
from jaxpose.viz import VideoWriter, save_image

WHOLE_PHOTO = "full"


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
      checkpoint: the one with the best held-out score, or the newest.
      flip_test: average with the mirrored image.
      min_score: the lowest score of a keypoint that is drawn.
      min_box_score: the lowest score of a box that is used.
      batch_size: people in one forward pass.
      detector: weights of a detector.
      every: of a film, the detector looks at every n-th frame.
      track: number the people of films.
      smooth: smooth the keypoints of films: `one-euro`, `savitzky-golay` or `none`.
      max_people: at most so many a frame; 0 is all.
      lift: a lifter, for joints in space.
      formats: names of `infer.write.FORMATS`, with commas between.
      draw: write pictures and films with the people drawn on them.
      sheet: write a contact sheet, `overview.jpg`, of up to 24 of them.
      heatmaps: of each photo, write the crops of its people with the model's heatmaps over them.
      trust_recipe: run code that came with the models.
    """

    checkpoint: Literal["best", "last"] = "best"
    flip_test: bool = True
    min_score: float = 0.3
    min_box_score: float = 0.2
    batch_size: int = 8
    detector: str | None = None
    every: int = 1
    track: bool = True
    smooth: str = "none"
    max_people: int = 0
    lift: str | None = None
    formats: str = "json"
    draw: bool = True
    sheet: bool = False
    heatmaps: bool = False
    trust_recipe: bool = False

    def steps(self) -> Steps:
        """For the pipeline."""
        return Steps(
            flip_test=self.flip_test,
            batch_size=self.batch_size,
            min_box_score=self.min_box_score,
            detect_every=self.every,
            track=self.track,
            smooth=None if self.smooth == "none" else self.smooth,  # type: ignore[arg-type]
            max_people=self.max_people or None,
        )


def predict(
    sources: Sequence[str | Path],
    run: str | Path,
    boxes: str | None,
    out: Path,
    options: Options | None = None,
) -> int:
    """Predicts the people of photos, folders, films, lists, patterns, streams and webcams.

    Writes into `out` a file in each of the formats, a picture for each photo and a film for each
    film. What cannot be read is left out and reported; what is done when the rest fails is kept.

    Returns:
      The exit status: 0, or 1 if a photo, a frame or a box was left out, or 2 if nothing could be
      read.

    Raises:
      InputError: nothing to read, a model, box file or detector that cannot be used, options that
        make no sense, or an `out` that cannot be written.
    """
    options = options or Options()
    formats = _formats(options.formats)
    if boxes is not None and options.detector is not None:
        raise InputError("--boxes says where people are and --detector finds them: give one")
    for name in ("sheet", "heatmaps"):
        if getattr(options, name) and not options.draw:
            raise InputError(f"--{name} is drawn; it cannot go with --no-draw")
    media = open_media([_source(source) for source in sources])
    if options.heatmaps and not media.still:
        raise InputError("--heatmaps is for photos, and here is a film: leave one of them out")
    located = _boxes(boxes, options, media)
    pictures = picture_names(media, out) if options.draw else {}
    make_writable(out)
    trained = load_pose(run, options.checkpoint, trust_recipe=options.trust_recipe)
    if options.heatmaps and not has_maps(trained.codec):
        raise InputError(f"{run} gives coordinates, not heatmaps: leave --heatmaps out")
    detector = load_detector(options.detector) if options.detector else None
    pipeline = Pipeline(trained, detector, options=options.steps())
    lifter = None if options.lift is None else _lifter(options.lift, options)
    outcome = PredictSummary(options.min_score if options.draw else 0.0)
    head = _head(trained, run, boxes, options)
    name = "photos" if media.still else "frames"

    def tail() -> dict[str, Any]:
        return {"skipped": outcome.skipped_of(media)}

    # OpenPose's is the one that may refuse, before another has begun a file.
    kinds = sorted(formats, key=lambda kind: kind != "openpose")
    writers = [writer(kind, out, trained.skeleton, head, name=name, tail=tail) for kind in kinds]
    sheet = Overview(media.count) if options.sheet else None
    seen = Heatmaps(pipeline.predictor, out / "heatmaps") if options.heatmaps else None
    output = _Output(writers, out, pictures, lifter, options.min_score, media.skipped, sheet, seen)
    results = pipeline.results(media, boxes=located)
    try:
        with results, output, _progress(results.count) as progress:
            bar = progress.add_task(name, total=results.count)
            # The models work on while this thread draws and writes.
            made = ahead(((people, _photo(people, options.draw)) for people in results), 2)
            try:
                for people, photo in made:
                    with results.stages("draw and write"):
                        output.add(people, photo)
                    outcome.add(people)
                    progress.update(bar, advance=1)
                    del photo
            finally:
                made.close()  # type: ignore[attr-defined]
    finally:
        outcome.films = output.films
    return summarise(outcome, media, out, boxes, results.stages, formats)


class _Output:
    """Pictures, films and files, of what has come so far."""

    def __init__(
        self,
        writers: list[Writer],
        out: Path,
        pictures: Mapping[str, str],
        lifter: TrackLifter | None,
        min_score: float,
        skipped: list[Skipped],
        sheet: Overview | None,
        heatmaps: Heatmaps | None,
    ) -> None:
        self._writers = writers
        self._out = out
        self._pictures = pictures
        self._lifter = lifter
        self._min_score = min_score
        self._skipped = skipped
        self._sheet = sheet
        self._heatmaps = heatmaps
        self._film: VideoWriter | None = None
        self._of = ""
        self._waiting: list[tuple[People, str | None]] = []
        self.films: list[tuple[str, str]] = []
        """Name and codec of each film that was drawn."""

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._next_source("")
        finally:
            for one in self._writers:
                one.close()
            if self._sheet is not None:
                self._sheet.save(self._out / "overview.jpg")

    def add(self, people: People, photo: np.ndarray | None) -> None:
        """Draws a frame and writes it, or keeps what a lifter needs as a whole."""
        if people.source != self._of:
            self._next_source(people.source)
        picture = None if photo is None else self._draw(people, photo)
        if self._lifter is not None:
            self._waiting.append((replace(people, _photo=None), picture))
        else:
            self._write(people, picture)

    def _draw(self, people: People, photo: np.ndarray) -> str:
        drawn = _draw(people, photo, self._min_score)
        if self._sheet is not None:
            self._sheet.add(people, drawn)
        name = self._pictures.get(people.source) or _film_name(people.source)
        if people.seconds is None:
            save_image(self._out / name, drawn)
            if self._heatmaps is not None:
                self._heatmaps.write(people, photo, name)
            return name
        if self._film is None:
            self._film = VideoWriter(self._out / name, people.fps or 25.0)
        self._film.write(drawn)
        return name

    def _next_source(self, source: str) -> None:
        """Ends the film that was drawn, and lifts the people that were in it."""
        film, self._film, self._of = self._film, None, source
        waiting, self._waiting = self._waiting, []
        try:
            if film is not None:
                film.close()
                self.films.append((film.path.name, film.codec or ""))
        finally:
            people = [one for one, _ in waiting]
            if self._lifter is not None and any(map(len, people)):
                of = people[0].source
                people = lift_people(
                    people,
                    self._lifter,
                    report=lambda why: self._skipped.append(Skipped(of, f"not lifted: {why}")),
                )[0]
            for one, (_, picture) in zip(people, waiting, strict=True):
                self._write(one, picture)

    def _write(self, people: People, picture: str | None) -> None:
        for one in self._writers:
            one.write(people, picture)


def _formats(text: str) -> list[str]:
    formats = [word.strip() for word in text.split(",") if word.strip()]
    for word in formats:
        if word not in FORMATS:
            raise InputError(
                f"--format {word!r} is none of {', '.join(FORMATS)}.{nearest(word, FORMATS)}"
            )
    return list(dict.fromkeys(formats)) or ["json"]


def _source(source: str | Path) -> str | Path | int:
    """A number that is no file is a webcam."""
    text = str(source)
    if is_address(text):
        return text
    return int(text) if text.isdecimal() and not Path(text).exists() else Path(text)


def _boxes(boxes: str | None, options: Options, media: Media) -> BoxFile | None:
    """Boxes from a file; None for those of the detector, or the whole photo."""
    if boxes is None or boxes == WHOLE_PHOTO:
        return None
    file = read_boxes(boxes, options.min_box_score)
    file.check_mentions(media.paths)
    return file


def _lifter(where: str | Path, options: Options) -> TrackLifter:
    trained = load_lifter(where, options.checkpoint, trust_recipe=options.trust_recipe)
    return trained.predictor()


def _photo(people: People, wanted: bool) -> np.ndarray | None:
    return people.photo if wanted else None


def _draw(people: People, photo: np.ndarray, min_score: float) -> np.ndarray:
    return people.draw(photo, min_score=min_score)


def _film_name(source: str) -> str:
    """For what has no file's name: `webcam 0`, the address of a stream."""
    words = "".join(letter if letter.isalnum() else "-" for letter in source)
    return f"{words.strip('-')}.mp4"


def _head(trained: Trained, run: str | Path, boxes: str | None, options: Options) -> dict[str, Any]:
    found_by = {"boxes": boxes or WHOLE_PHOTO}
    if options.detector is not None:
        found_by = {"detector": str(options.detector)}
    return {
        **head_of(trained.skeleton),
        "model": {
            "run": str(run),
            "checkpoint": options.checkpoint,
            "step": trained.step,
        },
        **found_by,
        "flip_test": options.flip_test,
        "detect_every": options.every,
        "smooth": options.smooth,
        **({} if options.lift is None else {"lifter": str(options.lift)}),
    }


def _progress(count: int | None) -> Progress:
    console = Console(stderr=True)
    amount = TextColumn("{task.completed}") if count is None else MofNCompleteColumn()
    return Progress(
        "{task.description}",
        BarColumn(),
        amount,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
