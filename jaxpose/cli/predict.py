"""`jaxpose predict`: images and videos in, named keypoints, tables and drawn images out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxpose.cli.options import chosen_words, filled
from jaxpose.cli.overview import Heatmaps, Overview
from jaxpose.cli.predict_actions import open_actions
from jaxpose.cli.predict_command import FILTERS, Predict
from jaxpose.cli.predict_hands import HandOutput
from jaxpose.cli.predict_mesh_files import mesh_kinds
from jaxpose.cli.predict_meshes import MeshOutput, open_meshes
from jaxpose.cli.predict_output import Output
from jaxpose.cli.predict_summary import (
    PredictSummary,
    drawn_name,
    make_writable,
    summarise,
)
from jaxpose.cli.predict_surfaces import SurfaceOutput, open_surfaces
from jaxpose.codecs.visualize import has_maps
from jaxpose.console import PlainConsole
from jaxpose.download.address import address_of
from jaxpose.errors import InputError, nearest
from jaxpose.hub.catalogue import HOLISTIC, is_holistic
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.hub.quality import load_default_detector, load_default_pose
from jaxpose.labels.exporting import WRITERS as TOOLS
from jaxpose.labels.exporting import LabelsWriter
from jaxpose.locks import only_writer
from jaxpose.media.prefetch import ahead
from jaxpose.media.sources import Media, open_media
from jaxpose.media.video import is_address
from jaxpose.paths import in_bucket
from jaxpose.pipeline.holistic import Holistic
from jaxpose.pipeline.lifting import open_lifter
from jaxpose.pipeline.options import Options, set_options
from jaxpose.pipeline.person_boxes import PersonDetector
from jaxpose.pipeline.pipeline import Pipeline
from jaxpose.pipeline.refining import open_refiner
from jaxpose.pipeline.results import Results
from jaxpose.results.box_files import BoxFile, read_boxes
from jaxpose.results.drawing import Drawing
from jaxpose.results.image_names import ImageNames, check_not_read
from jaxpose.results.people import People
from jaxpose.results.writers import FORMATS, Writer, head_of, writer
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.bottomup.predictor import ImagePredictor
from jaxpose.tasks.refining.track_refiner import TrackRefiner

WHOLE_IMAGE = "full"
ONE_PERSON = (
    "The whole image is taken as one person; give --detector or --boxes if there are more. "
    "`--boxes full` says that it is meant."
)


def predict(options: Predict) -> int:
    """Predicts the people of images, folders, videos, lists, patterns, streams and webcams.

    Writes into `options.out` a file in each of the formats, a drawn image for each image and a
    drawn video for each video. Sources that cannot be read are left out and reported. If the run
    breaks off, by an error or Ctrl-C, or if nothing can be read, files of an earlier run are left
    as they are, and the results so far are in separate files (`paths.part_of`). Ctrl-C is the
    regular end of webcams and streams.

    Returns:
      The exit status: 0, or 1 if an image, a frame or a box was left out, or 2 if nothing could be
      read.

    Raises:
      InputError: nothing to read, a model, box file or detector that cannot be used, options that
        exclude each other, or an `out` that cannot be written.
    """
    settings = set_options(filled(options, Options()), options.set_)
    out = options.out
    formats = chosen_words("--format", options.formats, (*FORMATS, *TOOLS)) or ["json"]
    drawing = Drawing(
        options.min_score, options.draw_boxes, options.labels, options.colors, options.line_width
    )
    if options.boxes and options.detector is not None:
        raise InputError("--boxes says where people are and --detector finds them: give one")
    for name in ("sheet", "heatmaps"):
        if getattr(options, name) and not options.draw:
            raise InputError(f"--{name} is drawn; it cannot go with --no-draw")
    media = open_media([_source(source) for source in options.sources])
    if options.heatmaps and not media.still:
        raise InputError("--heatmaps is for images, and a video is given: leave one of them out")
    boxes = _boxes(options.boxes, settings, media)
    names = ImageNames(media.paths, boxes.image_ids if isinstance(boxes, BoxFile) else None)
    if options.draw:
        check_not_read((out / drawn_name(str(path), names) for path in media.paths), media.paths)
    make_writable(out)
    with only_writer(out):
        return _predict(options, settings, drawing, formats, media, boxes, names)


def _predict(
    options: Predict,
    settings: Options,
    drawing: Drawing,
    formats: list[str],
    media: Media,
    boxes: BoxFile | np.ndarray | None,
    names: ImageNames,
) -> int:
    """Loads the models and writes the results; returns the exit status."""
    out = options.out
    kinds_of_meshes = mesh_kinds(options, media, tracked=settings.track)
    if is_holistic(options.run):
        pipeline: Pipeline | Holistic = _holistic(options, settings)
        skeleton = Holistic.skeleton
        head: dict[str, Any] = {**head_of(skeleton), "model": {"run": HOLISTIC}}
    else:
        pipeline, skeleton, head = _pipeline(options, settings)
    outcome = PredictSummary(options.min_score if options.draw else 0.0)
    name = "photos" if media.still else "frames"

    def tail() -> dict[str, Any]:
        counts = [one.to_dict() for one in outcome.counts(media)]
        return {"skipped": outcome.skipped_of(media), "counts": counts}

    # These may refuse, so they come before another has begun a file.
    events = open_actions(options, settings, media, skeleton)
    meshes = open_meshes(options, names, kinds_of_meshes, skeleton)
    opened = meshes, open_surfaces(options, names)
    more = [one for one in opened if one is not None]
    kinds = sorted(formats, key=lambda kind: kind not in ("openpose", *TOOLS))
    whole_images = isinstance(pipeline, Pipeline) and pipeline.whole_images
    common: dict[str, Any] = {"name": name, "tail": tail, "names": names}
    results = pipeline.results(media, boxes=boxes, lift=False)  # may refuse, too
    writers: list[Writer] = [
        LabelsWriter(kind, out / kind, skeleton, names, options.min_score)
        if kind in TOOLS
        else writer(kind, out, skeleton, head, whole_images=whole_images, **common)
        for kind in kinds
    ]
    sheet = Overview(media.count) if options.sheet else None
    heatmaps = None
    if options.heatmaps and isinstance(pipeline, Pipeline):
        heatmaps = Heatmaps(pipeline.predictor, out / "heatmaps", pipeline.whole_images)
    output = Output(writers, out, names if options.draw else None, drawing, media.live)
    output.sheet, output.heatmaps = sheet, heatmaps
    failures = output.failures
    try:
        with results, output, _progress(results.count) as progress:
            bar = progress.add_task(name, total=results.count)

            def done(people: People) -> None:
                outcome.add(people)
                progress.update(bar, advance=1)

            frames = _drawn(results, output, done, failures, more)
            if events is not None:
                frames = events.watched(frames)
            if isinstance(pipeline, Pipeline) and pipeline.lifter is not None:
                frames = _lifted(pipeline, frames, results, media, outcome)
            for people in frames:
                with results.stages("draw and write"):
                    output.write(people)
            output.complete = outcome.images + outcome.frames > 0
    finally:
        outcome.videos, outcome.drawn = output.videos, output.images
    if failures:
        raise failures[0]
    if events is not None:
        outcome.notes.append(events.write(out))
    outcome.notes += [one.end() for one in more]
    if isinstance(meshes, MeshOutput):
        outcome.notes += meshes.files.notes
        outcome.more += meshes.files.counts()
    if pipeline.takes_whole_images_as_people and not options.boxes and outcome.people:
        outcome.notes.append(ONE_PERSON)
    predictor = pipeline.predictor if isinstance(pipeline, Pipeline) else None
    # A codec that counts the people who have no place has said more.
    if isinstance(predictor, ImagePredictor) and predictor.full_images and not outcome.lost:
        outcome.notes.append(
            f"{predictor.full_images} of the images or frames have {predictor.codec.max_people} "
            "people, the most that this model's codec returns (max_people): further people are "
            "left out."
        )
    boxes_in = " ".join(options.boxes) or None
    return summarise(outcome, media, out, boxes_in, results.stages, formats)


def _pipeline(options: Predict, settings: Options) -> tuple[Pipeline, Skeleton, dict[str, Any]]:
    """The pipeline of a pose model, its skeleton, and the head of the JSON file."""
    options, settings, trained, detector = _models(options, settings)
    if options.heatmaps and not has_maps(trained.codec):
        raise InputError(f"{options.run} gives coordinates, not heatmaps: leave --heatmaps out")
    lifter = None
    if options.lift is not None:
        lifter = open_lifter(
            options.lift,
            options.checkpoint,
            settings.lifting,
            trust_recipe=options.trust_recipe,
        )
    refiner = _refiner(options, settings, trained.skeleton)
    pipeline = Pipeline(trained, detector, lifter, settings, refiner=refiner)
    return pipeline, trained.skeleton, _head(trained, options, settings)


def _refiner(options: Predict, settings: Options, skeleton: Skeleton) -> TrackRefiner | None:
    """The refiner that `--smooth` names; None for a filter or none."""
    name = options.smooth
    if name in ("none", *FILTERS):
        return None
    if not Path(name).exists() and address_of(name) is None and not in_bucket(name):
        known = ("none", *FILTERS)
        raise InputError(
            f"--smooth {name!r} is none of {', '.join(known)}, and no run directory or folder of "
            f"a refiner.{nearest(name, known)}"
        )
    return open_refiner(
        name, skeleton, settings, options.checkpoint, trust_recipe=options.trust_recipe
    )


def _holistic(options: Predict, settings: Options) -> Holistic:
    """The holistic pipeline, which has its own detector and positions in 3D."""
    for flag in ("boxes", "detector", "lift", "heatmaps", "quality"):
        if getattr(options, flag):
            raise InputError(f"--from {HOLISTIC} has its own models: leave --{flag} out")
    if options.smooth not in ("none", *FILTERS):
        raise InputError(
            f"--from {HOLISTIC} is smoothed by a filter: --smooth {', '.join(FILTERS)} or none."
        )
    smoothing = settings.smoothing
    return Holistic.load(max_people=settings.max_people, smooth=smoothing)


def _models(
    options: Predict, settings: Options
) -> tuple[Predict, Options, Trained, PersonDetector | None]:
    """The pose model and the detector, or those of a quality, with the options that name them."""
    quality = options.quality or settings.quality
    settings = replace(settings, quality=None)
    if options.run is not None:
        if quality is not None:
            raise InputError(
                "--quality chooses the default models, and --from names one: leave one of them out"
            )
        trained = load_pose(options.run, options.checkpoint, trust_recipe=options.trust_recipe)
        detector = load_detector(options.detector) if options.detector else None
        return options, settings, trained, detector
    name, trained = load_default_pose(quality)
    options = replace(options, run=name)
    if options.detector is not None:
        return options, settings, trained, load_detector(options.detector)
    if options.boxes:
        return options, settings, trained, None
    name, detector = load_default_detector(quality)
    return replace(options, detector=name), settings, trained, detector


def _drawn(
    results: Results,
    output: Output,
    done: Callable[[People], None],
    failures: list[BaseException],
    more: Sequence[MeshOutput | HandOutput | SurfaceOutput],
) -> Iterator[People]:
    """The people of each frame, once they are drawn.

    A failure or Ctrl-C ends the frames and is entered in `failures`, so that those before it are
    still lifted and written.
    """
    # The models work on while this thread draws and writes.
    wanted = output.draws or bool(more)
    made = ahead(((people, _image(people, wanted)) for people in results), 2)
    try:
        for people, image in made:
            if image is not None and output.draws:
                with results.stages("draw and write"):
                    output.draw(people, image)
            if image is not None:
                for one in more:
                    with results.stages(one.stage):
                        one.add(people, image)
            del image
            done(people)
            yield people
    except GeneratorExit:
        raise
    except BaseException as error:
        failures.append(error)
    finally:
        made.close()  # type: ignore[attr-defined]


def _lifted(
    pipeline: Pipeline,
    frames: Iterable[People],
    results: Results,
    media: Media,
    outcome: PredictSummary,
) -> Iterator[People]:
    """The same frames with joints; tracks that cannot be lifted are entered in the skipped ones."""
    for video in pipeline.lift(frames, results.stages):
        media.skipped += video.skipped
        outcome.lifted += len(video.tracks)
        outcome.notes += [f"{video.source}: {note}." for note in video.notes]
        yield from video.frames


def _source(source: str | Path) -> str | Path | int:
    """A path, an address, or the number of a webcam unless a file has that name."""
    text = str(source)
    if is_address(text):
        return text
    return int(text) if text.isdecimal() and not Path(text).exists() else Path(text)


def _boxes(given: list[str], settings: Options, media: Media) -> BoxFile | np.ndarray | None:
    """Boxes from a file, or `[P, 4]`; None for the detector's, or around the whole image."""
    if not given or given == [WHOLE_IMAGE]:
        return None
    if len(given) > 1 or _is_box(given[0]):
        return np.array([_box(text) for text in given], np.float32)
    file = read_boxes(given[0], settings.min_box_score)
    file.check_mentions(media.paths)
    return file


def _is_box(text: str) -> bool:
    """True for numbers with commas between, and no file of that name."""
    numbers = text.replace(",", "").replace(".", "").replace("-", "").replace(" ", "")
    return "," in text and numbers.isdecimal() and not Path(text).exists()


def _box(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise InputError(
            f"--boxes {text!r} is not a box: give x,y,w,h in pixels, such as 40,60,96,128. Several "
            "boxes are several --boxes; a file or `full` stands alone."
        )
    return numbers


def _image(people: People, wanted: bool) -> np.ndarray | None:
    return people.image if wanted else None


def _head(trained: Trained, options: Predict, settings: Options) -> dict[str, Any]:
    found_by = {"boxes": " ".join(options.boxes) or WHOLE_IMAGE}
    if options.detector is not None:
        found_by = {"detector": str(options.detector)}
    elif trained.estimator.takes == "images":
        found_by = {}
    smoothing = settings.smoothing
    return {
        **head_of(trained.skeleton),
        "model": {
            "run": str(options.run),
            "checkpoint": options.checkpoint,
            "step": trained.step,
        },
        **found_by,
        "flip_test": settings.flip_test,
        "detect_every": settings.detect_every,
        "smooth": options.smooth if smoothing is None else smoothing.method,
        **({} if options.lift is None else {"lifter": str(options.lift)}),
    }


def _progress(count: int | None) -> Progress:
    console = PlainConsole(stderr=True)
    amount = TextColumn("{task.completed}", markup=False) if count is None else MofNCompleteColumn()
    return Progress(
        "{task.description}",
        BarColumn(),
        amount,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
