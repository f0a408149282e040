"""Metrics of estimates, with all that they depend on."""

from typing import TYPE_CHECKING

from jaxpose.metrics import metric
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.report import Report

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment


def score(estimates: Estimates, experiment: "TopDownExperiment", flip_test: bool) -> Report:
    """The metrics of the experiment's evaluation, with all that they depend on."""
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
