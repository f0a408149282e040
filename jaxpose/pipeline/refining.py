"""Refinement of the tracks of videos by a trained network, in place of a filter."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from jaxpose.errors import InputError
from jaxpose.hub.load import load_refiner
from jaxpose.media.prefetch import StageTimer
from jaxpose.pipeline.options import Options
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.refining.track_refiner import TrackRefiner
from jaxpose.tracking.smoothing import fit_people


def open_refiner(
    where: str | Path,
    skeleton: Skeleton,
    options: Options,
    checkpoint: Literal["best", "last"] = "best",
    *,
    trust_recipe: bool = False,
) -> TrackRefiner:
    """The refiner of a run directory or a release, for keypoints of `skeleton`.

    Keypoints below `min_score` of the options count as missing.

    Raises:
      InputError: as `hub.load.load_refiner` and `TrackRefiner`; options that smooth by a filter,
        or do not track.
    """
    check_options(options)
    trained = load_refiner(where, checkpoint, trust_recipe=trust_recipe)
    refiner: TrackRefiner = trained.predictor(source=skeleton, min_score=options.min_score)
    return refiner


def check_options(options: Options) -> None:
    """Raise InputError for options that smooth by a filter, or do not track."""
    if options.smooth is not None:
        raise InputError("a refiner takes the place of a filter: leave out smooth, or the refiner")
    if not options.track:
        raise InputError(
            "a refiner follows people by their track ids: it needs track=True (--track)"
        )


def checked(
    refiner: TrackRefiner | None, skeleton: Skeleton, options: Options
) -> TrackRefiner | None:
    """Return the refiner, if any.

    Raises:
      InputError: it is for other keypoints than `skeleton`; as `check_options`.
    """
    if refiner is None:
        return None
    if not isinstance(refiner, TrackRefiner):
        raise InputError(f"refiner is a path or a TrackRefiner, not {type(refiner).__name__}")
    check_options(options)
    if refiner.skeleton.keypoints != skeleton.keypoints:
        raise InputError(
            f"the refiner was made for keypoints of {refiner.skeleton.name!r}, but the pose model "
            f"finds {skeleton.name!r}: make it with predictor(source=...), or give its path"
        )
    return refiner


def refine_people(
    results: Iterable[People], refiner: TrackRefiner, stages: StageTimer
) -> Iterator[People]:
    """Refines the keypoints of videos; see `tracking.smoothing.fit_people`.

    Each frame is held back until the frames of one window after it are there. Counts the time of
    the stage "refine", whose items are people.
    """

    def fit(track: np.ndarray, scores: np.ndarray, fps: float, only: int | None) -> np.ndarray:
        with stages("refine"):
            return refiner(track, scores, fps=fps, only=only)

    return fit_people(results, fit, refiner.reach)
