"""Metrics of estimates, with the conditions under which they were computed."""

from typing import TYPE_CHECKING

from jaxpose.metrics import metric
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.report import Report

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment


def score(estimates: Estimates, experiment: "TopDownExperiment", flip_test: bool) -> Report:
    """Compute the metrics of the experiment's evaluation, as a report with the conditions."""
    evaluation, skeleton = experiment.evaluation, experiment.skeleton
    scored = metric.score(evaluation.metrics, estimates, evaluation.best)
    uses_sigmas = any(m.uses_sigmas for m in evaluation.metrics)
    return Report(
        metrics=scored.figures,
        boxes=f"ground truth, padded {experiment.padding:g}x",
        flip_test=flip_test,
        decode=str(experiment.codec),
        sigmas=skeleton.describe_sigmas() if uses_sigmas else None,
        people=len(estimates),
        notes=scored.notes,
        by_action=scored.by_action,
    )
