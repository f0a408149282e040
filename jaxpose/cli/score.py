"""`jaxpose score`: figures of a results file, without a model, images or JAX."""

import json
from typing import Any

from rich.table import Column, Table

from jaxpose import skeletons
from jaxpose.cli.keypoint_table import keypoint_table
from jaxpose.cli.metric_names import named_metrics
from jaxpose.cli.score_command import Score
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, exit_status, print_counts
from jaxpose.metrics.annotated_results import read_annotated, read_results
from jaxpose.metrics.metric import Scored
from jaxpose.metrics.pairs import pair_people, paired_estimates
from jaxpose.metrics.people import PeopleInImages
from jaxpose.metrics.per_keypoint import PerKeypoint, per_keypoint
from jaxpose.metrics.report import shown, with_null
from jaxpose.metrics.score_people import score_people


def score(options: Score) -> int:
    """Print the figures of `options.results`; remarks on the file go to standard error.

    Metrics of matched people, such as AP, use the ranking of the file. The others need pairs of an
    annotated person and a result, which `metrics.pairs` makes.

    Returns:
      The exit status, 0: people without a result count as not found, so none is left out.

    Raises:
      InputError: as `read_annotated`, `read_results`, `named_metrics` and `score_people`.
    """
    skeleton = skeletons.load(options.skeleton) if options.skeleton else None
    annotated = read_annotated(options.annotations, skeleton)
    metrics = named_metrics(options.metric, annotated.skeleton)
    for metric in metrics:
        metric.check(annotated.skeleton)
    people, remarks = read_results(options.results, annotated)
    estimates = paired_estimates(people, pair_people(people), annotated.head_boxes)
    scored = score_people(metrics, people, estimates)
    figures = per_keypoint(estimates) if options.per_keypoint else None
    counts = {
        "people": f"{len(estimates):,} annotated, {len(people.found):,} results",
        "skeleton": annotated.skeleton.name,
    }
    closing = _counts(people)
    if options.json:
        document = _document(scored, counts, remarks, figures)
        document["counts"] = [one.to_dict() for one in closing]
        print(json.dumps(document, indent=1, allow_nan=False))
        return exit_status(closing)
    console = PlainConsole()
    console.print(_table(scored, counts))
    if figures is not None:
        console.print(keypoint_table(figures))
    errors = PlainConsole(stderr=True)
    for remark in remarks:
        errors.print(f"Note: {remark}", style="yellow")
    return print_counts(closing, console)


def _counts(people: PeopleInImages) -> list[Counts]:
    """Annotated people and results; crowds and people without labelled keypoints do not count."""
    ignored = int(people.truth.ignore.sum())
    excluded = {"crowd or no labelled keypoint": ignored}
    return [
        Counts("people", len(people.truth) - ignored, excluded=excluded),
        Counts("results", len(people.found)),
    ]


def _document(
    scored: Scored, counts: dict[str, str], remarks: list[str], figures: PerKeypoint | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metrics": with_null(dict(scored.figures)),
        "notes": {**counts, **scored.notes},
        "remarks": remarks,
    }
    if figures is not None:
        found["keypoints"] = figures.to_list()
        found["pck"] = figures.pck_of
    return found


def _table(scored: Scored, counts: dict[str, str]) -> Table:
    table = Table("metric", Column("value", overflow="fold"))
    for name, value in scored.figures.items():
        table.add_row(name, shown(value, ".4f"))
    table.add_section()
    for name, words in {**counts, **scored.notes}.items():
        table.add_row(name, words)
    return table
