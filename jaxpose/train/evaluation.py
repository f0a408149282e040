"""Evaluation settings that all tasks share: metrics, schedule, name."""

import warnings
from dataclasses import dataclass

from jaxpose.config import from_json
from jaxpose.config.migrations_evaluation import migrate_evaluation
from jaxpose.errors import InputError, nearest
from jaxpose.metrics.metric import Metric, directions


@dataclass(frozen=True, kw_only=True)
class EvaluationBase:
    """Schedule and metrics for the evaluation on held-out samples.

    A task derives its class from this one. It sets the defaults and adds `data`, another dataset to
    evaluate on (None: `eval_data` of the experiment).

    Attributes:
      metrics: one or several; two metrics must not report a figure of the same name.
      best: the figure that picks the best checkpoint. If empty, it is set to the main figure of the
        first metric.
      every: number of steps between evaluations; the last step is always evaluated.
      flip_test: average the predictions on each image (or track) and on its mirror image.
      batch_size: number of samples in a batch, those of all devices together.
      name: empty for the main evaluation. In `more_evaluations`, the prefix of its figures, such
        as `crowd/AP`, and the folder of its report.
    """

    metrics: tuple[Metric, ...] = ()
    best: str = ""
    every: int = 1000
    flip_test: bool = True
    batch_size: int = 32
    name: str = ""

    def __post_init__(self) -> None:
        known = directions(self.metrics)
        if not self.best:
            object.__setattr__(self, "best", next(iter(known)))
        elif self.best not in known:
            names = ", ".join(type(metric).__name__ for metric in self.metrics)
            raise InputError(
                f"evaluation.best is {self.best!r}, but none of its metrics ({names}) reports it."
                f"{nearest(self.best, known)} They report: {', '.join(known)}."
            )
        if self.every < 1 or self.batch_size < 1:
            raise InputError("evaluation.every and evaluation.batch_size must be at least 1.")

    def _take_old_metric(self, metric: str | None) -> None:
        """Set `metrics` and `best` from the `metric` of version 0.1.0."""
        if metric is None:
            return
        new = migrate_evaluation({"metric": metric})
        if "metrics" not in new:
            raise InputError(f"evaluation.metric={metric!r} is not a metric of version 0.1.0.")
        metrics = from_json(new["metrics"], "metrics")
        names = ", ".join(f"{type(one).__name__}()" for one in metrics)
        warnings.warn(
            f"Evaluation(metric={metric!r}) is now Evaluation(metrics=({names},)).",
            DeprecationWarning,
            stacklevel=4,
        )
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(self, "best", new["best"])

    @property
    def lower_is_better(self) -> bool:
        """True if the figure `best` is an error, so that lower values are better."""
        return directions(self.metrics)[self.best] == "lower"
