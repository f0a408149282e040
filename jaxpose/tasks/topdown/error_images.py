"""Images of a model's errors: the error per keypoint, and the people with the largest errors."""

from typing import TYPE_CHECKING

import numpy as np

from jaxpose import viz
from jaxpose.data.source import Source
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.metrics.error import box_lengths
from jaxpose.metrics.estimates import Estimates

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment


def error_images(
    estimates: Estimates, source: Source, experiment: "TopDownExperiment"
) -> dict[str, np.ndarray]:
    """Draw `keypoint_errors` and, if any person is labelled, `worst`; see `EvalResult.details`.

    Errors are distances divided by the side of the person's box, sqrt(width x height).
    """
    sides = box_lengths(estimates.column("box_xywh"))
    errors = estimates.distances / np.where(sides > 0, sides, np.nan)[:, None]
    images = {
        "keypoint_errors": viz.keypoint_errors(
            errors, experiment.skeleton, unit="sides of the person's box"
        )
    }
    rows = worst_rows(errors, experiment.evaluation.examples)
    if len(rows):
        images["worst"] = _worst(estimates, errors, rows, source)
    return images


def worst_rows(errors: np.ndarray, count: int) -> np.ndarray:
    """Rows of the `count` people with the largest mean error, the largest first.

    Args:
      errors: `[N, K]`, NaN where not labelled; people without labelled keypoints are left out.
    """
    known = np.isfinite(errors)
    labelled = known.sum(axis=1)
    mean = np.where(known, errors, 0.0).sum(axis=1) / np.maximum(labelled, 1)
    order = np.argsort(-np.where(labelled > 0, mean, -np.inf), kind="stable")
    return order[: min(count, int((labelled > 0).sum()))]


def _worst(
    estimates: Estimates, errors: np.ndarray, rows: np.ndarray, source: Source
) -> np.ndarray:
    """Draw truth beside estimate for `rows`, each with its error and its ids in the dataset."""
    skeleton = estimates.skeleton
    batch = source.samples(estimates.column("index")[rows])
    to_canvas = invert_affine(batch["photo_from_canvas"].astype(np.float64))
    points = apply_affine(to_canvas, estimates.keypoints[rows])
    panels, captions = [], []
    for i, row in enumerate(rows):
        panels.append(
            viz.comparison(
                batch["image"][i],
                points[i][None],
                batch["keypoints"][i][None].astype(np.float64),
                skeleton,
                visible=batch["visible"][i][None],
                scores=estimates.column("scores")[row][None],
            )
        )
        largest = int(np.nanargmax(errors[row]))
        captions.append(
            f"error {np.nanmean(errors[row]):.2f} of the box, most at "
            f"{skeleton.keypoints[largest].replace('_', ' ')} {errors[row, largest]:.2f}; "
            f"image {int(batch['image_id'][i])}, annotation {int(batch['annotation_id'][i])}"
        )
    return viz.contact_sheet(panels, columns=min(2, len(panels)), captions=captions)
