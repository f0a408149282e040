"""Trial of metrics on made-up samples, so that an error in one is found before the training."""

import numbers
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from jaxpose.errors import InputError, in_one_line
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import Estimates, MissingColumn
from jaxpose.metrics.metric import Metric, Scored
from jaxpose.metrics.people import PeopleInImages
from jaxpose.skeletons import Skeleton

SAMPLES = 3


def try_metrics(metrics: Sequence[Metric], estimates: Any) -> None:
    """Call each metric once on made-up `estimates` and check its result.

    An InputError of a metric is passed over, because it is about the samples: the real ones may
    have what the made-up ones lack. One for a column that the task does not fill is not.

    Args:
      estimates: `made_up(...)` or `made_up_people(...)`.

    Raises:
      InputError: a metric fails, or its result is not a dict of numbers with all its figures; the
        message has the metric and the reason.
    """
    for metric in metrics:
        name = type(metric).__name__
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                result = metric(estimates)
        except MissingColumn as error:
            raise InputError(
                f"{name} cannot be computed: {in_one_line(error)}. Let its `needs` list the "
                "columns that it reads."
            ) from error
        except InputError:
            continue
        except Exception as error:
            raise InputError(
                f"{name} fails on {SAMPLES} made-up samples: {in_one_line(error)}."
            ) from error
        _check_result(metric, result)


def _check_result(metric: Metric, result: Any) -> None:
    name = type(metric).__name__
    figures = result.figures if isinstance(result, Scored) else result
    if not isinstance(figures, Mapping):
        raise InputError(
            f"{name} must return a dict of numbers by figure, but it returned {_in_words(figures)}."
        )
    for figure, value in figures.items():
        if not isinstance(figure, str) or not _is_number(value):
            raise InputError(
                f"{name} must return a number for each figure, but {figure!r} is "
                f"{_in_words(value)}."
            )
    missing = [figure for figure in metric.figures if figure not in figures]
    if missing:
        raise InputError(
            f"{name} lists {', '.join(map(repr, missing))} in `figures`, but does not return it; "
            f"it returned: {', '.join(figures) or 'nothing'}."
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, numbers.Real):
        return True
    return np.shape(value) == () and np.issubdtype(getattr(value, "dtype", object), np.number)


def _in_words(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {list(shape)}" if shape else f"{value!r:.80}"


def made_up(skeleton: Skeleton, dimensions: int, columns: Collection[str]) -> Estimates:
    """Estimates of three made-up samples near their truth, all keypoints labelled.

    Args:
      dimensions: 2 (pixels) or 3 (mm).
      columns: the columns to fill: those that the task fills.
    """
    truth = _places((SAMPLES, skeleton.num_keypoints, dimensions))
    rows = np.arange(SAMPLES)
    filled = {
        "scores": np.full(truth.shape[:2], 0.9),
        "index": rows,
        "image_id": rows + 1,
        "annotation_id": rows + 1,
        "box_xywh": _boxes(),
        "area": np.full(SAMPLES, 10000.0),
        "head_boxes": np.tile([10.0, 10.0, 40.0, 40.0], (SAMPLES, 1)),
        "subject": np.array(["S1"] * SAMPLES),
        "action": np.array(["Walking"] * SAMPLES),
        "clip": np.zeros(SAMPLES, np.int64),
        "depth": np.zeros(truth.shape[:2]),
        "hands": np.full((SAMPLES, 3), 0.9),
        "truth_3d": np.concatenate(
            [_places((*truth.shape[:2], 2)), np.full((*truth.shape[:2], 1), 900.0)], axis=-1
        ),
    }
    kept: dict[str, Any] = {name: filled[name] for name in columns}
    return Estimates(skeleton, truth + 1.0, truth, np.full(truth.shape[:2], 2), **kept)


def made_up_people(skeleton: Skeleton) -> PeopleInImages:
    """Three made-up people in images, each found near its truth."""
    truth = _places((SAMPLES, skeleton.num_keypoints, 2))
    images = np.arange(SAMPLES) + 1
    visible = np.full(truth.shape[:2], 2)
    people = GroundTruth(images, truth, visible, _boxes(), np.full(SAMPLES, 10000.0), images=images)
    return PeopleInImages(skeleton, people, Detections(images, truth + 1.0, np.full(SAMPLES, 0.9)))


def _places(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, shape)


def _boxes() -> np.ndarray:
    return np.tile([0.0, 0.0, 100.0, 100.0], (SAMPLES, 1))
