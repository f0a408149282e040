"""Ensemble of classifiers of actions: the weighted sum of their scores on the same clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.metrics.actions import ClassScores, MeanClassAccuracy, TopK
from jaxpose.metrics.metric import Metric, score
from jaxpose.metrics.report import Report


def ensemble(
    folders: Sequence[str | Path],
    weights: Sequence[float] | None = None,
    metrics: tuple[Metric, ...] = (TopK(), MeanClassAccuracy()),
) -> Report:
    """Score the sum of the probabilities of several evaluations, such as those of four streams.

    Args:
      folders: folders that `jaxpose eval` wrote, with `predictions.json`.
      weights: one for each folder; None for equal ones.
      metrics: metrics of `metrics.actions.ClassScores`.

    Raises:
      InputError: no folder, a different number of weights, a file that cannot be read, or
        evaluations of different clips or classes.
    """
    if not folders:
        raise InputError("An ensemble needs the folder of at least one evaluation.")
    shares = [1.0] * len(folders) if weights is None else list(weights)
    if len(shares) != len(folders):
        raise InputError(f"There are {len(shares)} weights for {len(folders)} folders.")
    parts = [_scores(Path(folder)) for folder in folders]
    first, names = parts[0]
    for (part, theirs), folder in zip(parts[1:], folders[1:], strict=True):
        same = theirs == names and part.classes == first.classes
        if not same or not np.array_equal(part.labels, first.labels):
            raise InputError(
                f"{folder} and {folders[0]} are evaluations of different clips or classes: "
                "evaluate all models on one dataset."
            )
    total = sum(share * part.scores for share, (part, _) in zip(shares, parts, strict=True))
    summed = ClassScores(np.asarray(total), first.labels, first.classes)
    scored = score(metrics, summed)  # type: ignore[arg-type]
    return Report(
        metrics=scored.figures,
        boxes="none: keypoints of the dataset",
        flip_test=False,
        decode="weighted sum of "
        + ", ".join(f"{s:g} {f}" for s, f in zip(shares, folders, strict=True)),
        sigmas=None,
        people=len(summed),
        unit="clips",
        notes={"unit": "per cent of clips", "classes": str(len(first.classes))},
    )


def _scores(folder: Path) -> tuple[ClassScores, list[str]]:
    """Scores and names of the clips of an evaluation."""
    path = folder / "predictions.json"
    try:
        content = parse_json(read_text(path, ANNOTATIONS))
        classes, clips = tuple(content["classes"]), content["clips"]
        scores = np.array([clip["scores"] for clip in clips], float).reshape(-1, len(classes))
        labels = np.array([classes.index(clip["label"]) for clip in clips], int)
        return ClassScores(scores, labels, classes), [clip["name"] for clip in clips]
    except OSError as error:
        raise not_read(path, error) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: this is no evaluation of actions: {error!r}.") from error
