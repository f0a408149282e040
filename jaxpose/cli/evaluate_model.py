"""`jaxpose eval` of any model on annotated images: results, figures by keypoint, images."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from jaxpose import skeletons, viz
from jaxpose.cli.evaluate_command import Eval
from jaxpose.cli.keypoint_table import keypoint_table
from jaxpose.cli.metric_names import named_metrics
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError, reason
from jaxpose.geometry import apply_affine
from jaxpose.hub.load import Trained, load_detector
from jaxpose.metrics.annotated_results import Annotated, read_annotated, write_results
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.pairs import pair_people, paired_estimates
from jaxpose.metrics.per_keypoint import PerKeypoint, box_errors, per_keypoint
from jaxpose.metrics.report import Report
from jaxpose.metrics.score_people import score_people
from jaxpose.paths import as_path, atomic_write
from jaxpose.pipeline.evaluation import (
    EvaluationImage,
    ImageFolder,
    Predicted,
    predict_dataset,
)
from jaxpose.pipeline.prepared_people import PreparedImages, PreparedPeople
from jaxpose.results.box_files import BoxFile, read_boxes
from jaxpose.tasks.bottomup.estimate import lost_note
from jaxpose.tasks.topdown.error_images import worst_rows

_Data = ImageFolder | PreparedPeople | PreparedImages
_EXAMPLES = 12
_LISTED = 5


def evaluate_model(options: Eval, trained: Trained) -> int:
    """Predict the people of annotated images, score them, and write the results and images.

    Writes `results.json` (COCO keypoint results), `report.json`, `keypoints.json`,
    `keypoint_errors.png` and `worst.png` into `options.out`. The figures are those of the written
    results: `jaxpose score` and pycocotools compute the same.

    Returns:
      The exit status: 0, or 1 if a box could not be used.

    Raises:
      InputError: as `read_annotated`, `PreparedPeople`, `PreparedImages`, `read_boxes` and
        `predict_dataset`.
    """
    console = PlainConsole()
    data = _open_data(options, trained)
    annotated = data.annotated
    metrics = named_metrics(options.metric, annotated.skeleton)
    for metric in metrics:
        metric.check(annotated.skeleton)
    boxes = None
    if options.boxes is not None:
        least = options.min_box_score or 0.0
        boxes = read_boxes(options.boxes, least)
    images, words = _images(options, trained, data, boxes)
    flip = options.flip_test is not False
    predictor = trained.predictor(flip_test=flip, batch_size=options.batch_size)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("images", total=len(data))
        predicted = predict_dataset(
            predictor,
            images,
            annotated.skeleton,
            nms=None if options.nms >= 1 else options.nms,
            on_image=lambda people: progress.update(bar, advance=1),
        )
    people = predicted.people(annotated)
    estimates = paired_estimates(people, pair_people(people), annotated.head_boxes)
    scored = score_people(metrics, people, estimates)
    counts = _counts(predicted, annotated, boxes_are_people=_annotated_boxes(options, trained))
    uses_sigmas = any(metric.uses_sigmas for metric in metrics)
    report = Report(
        metrics=scored.figures,
        boxes=words,
        flip_test=flip,
        decode=str(trained.codec),
        sigmas=annotated.skeleton.describe_sigmas() if uses_sigmas else None,
        people=len(estimates),
        notes={**scored.notes, **_notes(options, predictor), **_lost(predicted.lost, trained)},
        counts=[one.to_dict() for one in counts],
    )
    table = per_keypoint(estimates)
    out = options.out or default_out(options, trained)
    _write(out, report, table, predicted, estimates, data)
    console.print(report.table())
    console.print(keypoint_table(table))
    _print_skipped(predicted)
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    console.print(f"Written to {out}: {names}")
    return print_counts(counts, console)


def _annotated_boxes(options: Eval, trained: Trained) -> bool:
    """True if each box is that of an annotated person."""
    finds_people = trained.estimator.takes == "images"
    return not finds_people and options.boxes is None and options.detector is None


def _counts(predicted: Predicted, annotated: Annotated, *, boxes_are_people: bool) -> list[Counts]:
    """Annotated people, and the boxes where these are others.

    People without labelled keypoints and crowds count neither as found nor as missed, as in COCO.
    """
    unusable = {"box cannot be used": len(predicted.skipped)}
    excluded = {"crowd or no labelled keypoint": int(annotated.truth.ignore.sum())}
    scored = len(annotated.truth) - sum(excluded.values())
    if boxes_are_people:
        return [Counts("people", scored - len(predicted.skipped), unusable, excluded)]
    people = Counts("people", scored, excluded=excluded)
    return [people, Counts("boxes", predicted.boxes, unusable)] if predicted.boxes else [people]


def check_options(options: Eval) -> None:
    """Check what can be checked before the model is loaded.

    Raises:
      InputError: no data, or options that exclude each other.
    """
    if options.boxes is not None and options.detector is not None:
        raise InputError("--boxes gives the boxes and --detector finds them: give one of them.")
    if options.annotations is None:
        for name in ("boxes", "detector", "skeleton"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name} is for whole images: give the COCO file with --annotations, and the "
                    "folder of its images with --data."
                )
        if options.data is None:
            folder = Path(options.model)
            if len(folder.parts) > 1 and not as_path(options.model).exists():
                raise InputError(f"{options.model} does not exist.")
            raise InputError(
                f"{options.model} is not a run with held-out data, so the data is missing: give "
                "--data IMAGES --annotations FILE, or --data with a prepared dataset."
            )
    elif options.data is None:
        raise InputError(
            f"--annotations {options.annotations} names images: give their folder with --data."
        )
    elif options.split is not None:
        raise InputError("--split is for a prepared dataset; --annotations has one split.")


def _open_data(options: Eval, trained: Trained) -> _Data:
    assert options.data is not None
    if options.annotations is None:
        split = options.split or "val"
        try:
            if trained.estimator.takes == "images":
                return PreparedImages(options.data, split)
            return PreparedPeople(options.data, split)
        except InputError as error:
            raise InputError(f"{error} (Images need the COCO file as --annotations.)") from error
    skeleton = skeletons.load(options.skeleton) if options.skeleton else None
    return ImageFolder(read_annotated(options.annotations, skeleton), as_path(options.data))


def _images(
    options: Eval,
    trained: Trained,
    data: _Data,
    boxes: BoxFile | None,
) -> tuple[Iterator[EvaluationImage], str]:
    """The images with the boxes that the options ask for, and these in words."""
    if isinstance(data, PreparedPeople):
        return data.with_annotated_boxes(), "ground truth"
    if isinstance(data, PreparedImages) or trained.estimator.takes == "images":
        for name in ("boxes", "detector"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"{options.model} finds the people of whole images itself: leave --{name} out."
                )
        return data.without_boxes(), "none: the model finds the people"
    if boxes is not None:
        count = sum(map(len, data.boxes_of(boxes).values()))
        return data.with_boxes(boxes), f"{count:,} of {options.boxes}"
    if options.detector is not None:
        least = options.min_box_score
        settings = {} if least is None else {"threshold": least}
        detector = load_detector(options.detector, **settings)
        return data.with_detector(detector), f"detector {options.detector}"
    return data.with_annotated_boxes(), "ground truth, clipped to the image"


def _notes(options: Eval, predictor: Any) -> dict[str, str]:
    """Conditions of the protocol in words; see `pipeline.evaluation`."""
    notes = {"model": options.model}
    if padding := getattr(predictor, "padding", None):
        notes["crop"] = f"the box, padded {padding:g}x"
        notes["score"] = "box score x mean of the keypoint scores above 0.2"
    if options.boxes is not None or options.detector is not None:
        notes["NMS"] = "none" if options.nms >= 1 else f"OKS above {options.nms:g}"
    return notes


def _lost(lost: list[int], trained: Trained) -> dict[str, str]:
    """Note on people beyond those that a model of whole images can hold, from each image's."""
    return lost_note(np.array(lost), trained.codec.max_people) if any(lost) else {}


def default_out(options: Eval, trained: Trained) -> Path:
    """`eval` in a run; else eval/NAME here, by the last part of the model's place."""
    if trained.step is not None:
        return trained.directory / "eval"
    name = re.sub(r"[?#].*", "", options.model).rstrip("/").rpartition("/")[2]
    return Path("eval") / (Path(name).stem if Path(name).suffix in (".pth", ".npz") else name)


def _write(
    out: Path,
    report: Report,
    table: PerKeypoint,
    predicted: Predicted,
    estimates: Estimates,
    data: _Data,
) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "report.json", report.to_json() + "\n")
        atomic_write(
            out / "keypoints.json",
            json.dumps({"pck": table.pck_of, "keypoints": table.to_list()}, indent=1) + "\n",
        )
        write_results(out / "results.json", predicted.results)
    except OSError as error:
        raise InputError(f"Cannot write to {out}: {reason(error)}.") from error
    errors = box_errors(estimates)
    skeleton = estimates.skeleton
    chart = viz.keypoint_errors(errors, skeleton, unit="sides of the person's box")
    viz.save_image(out / "keypoint_errors.png", chart)
    rows = worst_rows(errors, _EXAMPLES)
    if len(rows):
        viz.save_image(out / "worst.png", _gallery(estimates, errors, rows, data))


def _gallery(
    estimates: Estimates,
    errors: np.ndarray,
    rows: np.ndarray,
    data: _Data,
) -> np.ndarray:
    """The people with the largest errors, truth beside estimate."""

    def view(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        image, matrix = data.view(estimates, row)
        box = estimates.column("box_xywh")[row]
        places = np.concatenate(
            [estimates.keypoints[row], estimates.truth[row], [box[:2], box[:2] + box[2:]]]
        )
        if matrix is not None:
            places = apply_affine(matrix, places)
        count = estimates.skeleton.num_keypoints
        low, high = places[-2:]
        return image, places[:count], places[count:-2], np.concatenate([low, high - low])

    captions = [_caption(estimates, errors, int(row)) for row in rows]
    return viz.worst_people(view, rows, estimates.visible, estimates.skeleton, captions)


def _caption(estimates: Estimates, errors: np.ndarray, row: int) -> str:
    largest = int(np.nanargmax(errors[row]))
    name = estimates.skeleton.keypoints[largest].replace("_", " ")
    ids = "".join(
        f", {kind} {int(column[row])}"
        for kind, column in (
            ("image", estimates.image_id),
            ("annotation", estimates.annotation_id),
        )
        if column is not None
    )
    return f"error {np.nanmean(errors[row]):.2f}, {name} {errors[row, largest]:.2f}{ids}"


def _print_skipped(predicted: Predicted) -> None:
    if not predicted.skipped:
        return
    errors = PlainConsole(stderr=True)
    lines = [*predicted.skipped[:_LISTED]]
    if len(predicted.skipped) > _LISTED:
        lines.append(f"and {len(predicted.skipped) - _LISTED} more")
    errors.print("Boxes left out:", style="yellow")
    for line in lines:
        errors.print(f"  {line}")
