"""The part of an evaluation that is the same for every task: metrics, schedule, name."""

from dataclasses import dataclass

from jaxpose.errors import InputError, nearest
from jaxpose.metrics.metric import Metric, directions


@dataclass(frozen=True, kw_only=True)
class EvaluationBase:
    """When held-out samples are scored, and with which metrics.

    A task derives its own class from this one, with its defaults and with `data`, another dataset
    to score on (None: `eval_data` of the experiment).

    Attributes:
      metrics: one or several; no two may report a figure of the same name.
      best: the figure that picks the best checkpoint. Empty for the leading figure of the first
        metric, which is then filled in.
      every: so many steps; the last step is always scored.
      flip_test: average the predictions on each image, or track, and on its mirror image.
      name: empty for the main evaluation. Of an evaluation in `more_evaluations` it stands before
        its figures, such as `crowd/AP`, and is the folder of its report.
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
                f"evaluation.best is {self.best!r}, which none of its metrics ({names}) reports."
                f"{nearest(self.best, known)} They report: {', '.join(known)}."
            )
        if self.every < 1 or self.batch_size < 1:
            raise InputError("evaluation.every and evaluation.batch_size must be at least 1.")

    @property
    def lower_is_better(self) -> bool:
        """Whether the figure `best` is an error."""
        return directions(self.metrics)[self.best] == "lower"
