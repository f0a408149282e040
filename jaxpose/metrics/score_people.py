"""Figures of people in images by several metrics, of whatever kind each metric takes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxpose.metrics.error import EPE, NME
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Metric, Scored, check_metrics, directions, score
from jaxpose.metrics.people import PeopleInImages


def score_people(metrics: Sequence[Metric], people: PeopleInImages, estimates: Estimates) -> Scored:
    """Computes the figures of `metrics`, the main figure of each metric first.

    Metrics with `Metric.whole_images`, such as AP, get all people found; the others get
    `estimates`, in which a person who was not found counts as wrong (PCK, AUC) or is left out (EPE,
    NME), with a note.

    Args:
      people: people found and people annotated.
      estimates: their pairs (`metrics.pairs.paired_estimates`).

    Raises:
      InputError: a metric is not defined for the skeleton or needs data that is absent; two metrics
        report a figure of the same name.
    """
    directions(metrics)
    check_metrics(metrics, people.skeleton, dimensions=2, columns=estimates.columns() | {"scores"})
    found = np.isfinite(estimates.keypoints).all(axis=(1, 2))
    leading: dict[str, float] = {}
    others: dict[str, float] = {}
    notes: dict[str, str] = {}
    for metric in metrics:
        given: Estimates | PeopleInImages = people if metric.whole_images else estimates
        if isinstance(metric, EPE | NME) and not found.all():
            given = rows_of(estimates, np.flatnonzero(found))
            notes["not found"] = f"{int((~found).sum()):,} people, left out of EPE and NME"
        scored = score((metric,), given)  # type: ignore[arg-type]
        first = next(iter(metric.figures))
        leading[first] = scored.figures[first]
        others |= {name: value for name, value in scored.figures.items() if name != first}
        notes |= scored.notes
    return Scored(leading | others, notes)


def rows_of(estimates: Estimates, rows: np.ndarray) -> Estimates:
    """Estimates of these rows `[M]`, in this order."""
    names = ("keypoints", "truth", "visible", *estimates.columns())
    return replace(estimates, **{name: getattr(estimates, name)[rows] for name in names})
