"""Interface of metrics, and scoring of estimates with several of them.

A custom metric is one frozen dataclass, in any module:

    @dataclass(frozen=True)
    class MedianError(Metric):
        @property
        def figures(self) -> dict[str, Direction]:
            return {"median error": "lower"}

        def __call__(self, estimates: Estimates) -> dict[str, float]:
            return {"median error": float(np.nanmedian(estimates.distances))}

It needs no registration. An evaluation takes it directly: `Evaluation(metrics=(CocoAP(),
MedianError()))`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from jaxpose.errors import InputError, in_one_line
from jaxpose.metrics.estimates import Estimates
from jaxpose.skeletons import Skeleton

Direction = Literal["higher", "lower"]
"""Better values of a figure: the higher or the lower ones."""


@dataclass(frozen=True)
class Scored:
    """Figures of metrics, with the notes that a report prints.

    Attributes:
      figures: values by name; -1 if there was nothing to measure.
      notes: units, thresholds and similar facts, by name.
      by_action: for motion, figure -> subject -> action -> value.
    """

    figures: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)
    by_action: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


class Metric:
    """Base of all metrics: a frozen dataclass that is called with `Estimates`.

    Attributes:
      dimensions: 2 for keypoints in pixels, 3 for joints in mm.
      uses_sigmas: whether the metric depends on the skeleton's OKS sigmas; if so, reports list
        them.
      reads: columns of `Estimates` that are filled only for metrics that list them here.
      whole_images: whether the metric also takes `metrics.people.PeopleInImages`: people found
        without given boxes, which the metric matches with the annotated people.
    """

    dimensions: ClassVar[int] = 2
    uses_sigmas: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()
    whole_images: ClassVar[bool] = False

    @property
    def figures(self) -> Mapping[str, Direction]:
        """Figures that can pick the best checkpoint, the main one first, with their directions.

        `__call__` returns each of them, and may return more.
        """
        raise InputError(f"{type(self).__name__} is not a metric: it does not define `figures`.")

    def check(self, skeleton: Skeleton) -> None:
        """Check that the metric is defined for `skeleton`.

        Raises:
          InputError: it is not; the message has the reason and what to use instead.
        """
        if self.uses_sigmas and skeleton.sigmas is None:
            raise InputError(
                f"Skeleton {skeleton.name!r} has no OKS sigmas, so {type(self).__name__} is not "
                "defined for it. Give it sigmas (a list, or one uniform value), or use another "
                "metric, such as PCK() or NME()."
            )

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        """Columns of `Estimates` that the metric requires."""
        return ()

    def __call__(self, estimates: Estimates) -> Mapping[str, float] | Scored:
        """Compute the figures of `estimates`, by name."""
        raise TypeError(f"{type(self).__name__} is not a metric: it does not define `__call__`.")


def directions(metrics: Sequence[Metric]) -> dict[str, Direction]:
    """Figures that can pick the best checkpoint; the main figure of the first metric comes first.

    Raises:
      InputError: no metrics, an object that is not a metric, a direction that is neither "higher"
        nor "lower", or two metrics with a figure of the same name.
    """
    if isinstance(metrics, Metric):
        raise InputError(f"Metrics are a tuple: write ({type(metrics).__name__}(),).")
    if not metrics:
        raise InputError("An evaluation needs at least one metric, such as CocoAP().")
    owners: dict[str, Metric] = {}
    found: dict[str, Direction] = {}
    for metric in metrics:
        for name, direction in _figures(metric).items():
            if name in owners:
                raise _same_name(name, owners[name], metric)
            if direction not in get_args(Direction):
                raise InputError(
                    f"The direction of {name!r} of {type(metric).__name__} is {direction!r}; use "
                    "'lower' or 'higher', the better values of the figure."
                )
            owners[name] = metric
            found[name] = direction
    return found


def _figures(metric: Any) -> Mapping[str, Direction]:
    """Figures of an object that should be a metric.

    Raises:
      InputError: it is not a metric, or its `figures` cannot be read.
    """
    if isinstance(metric, type):
        raise InputError(f"{metric.__name__} is a class; metrics are objects: {metric.__name__}().")
    name = type(metric).__name__
    if not isinstance(metric, Metric):
        raise InputError(f"{name} must derive from jaxpose.metrics.Metric to be a metric.")
    if type(metric).__call__ is Metric.__call__:
        raise InputError(f"{name} is not a metric: it does not define `__call__`.")
    try:
        figures = metric.figures
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"The `figures` of {name} fail: {in_one_line(error)}.") from error
    if not isinstance(figures, Mapping) or not figures:
        raise InputError(
            f"`figures` of {name} must be a property that returns each figure with its direction, "
            "such as {'median error': 'lower'}."
        )
    return figures


def check_metrics(
    metrics: Sequence[Metric],
    skeleton: Skeleton,
    *,
    dimensions: int,
    columns: Collection[str] | None = None,
) -> None:
    """Check that each metric can be computed from estimates of this kind.

    Args:
      skeleton: the skeleton of the estimates.
      dimensions: 2 or 3, the dimensions of their keypoints.
      columns: the columns that will be filled; None before the data is opened.

    Raises:
      InputError: a metric cannot be computed; the message names the first, with the reason.
    """
    for metric in metrics:
        name = type(metric).__name__
        if metric.dimensions != dimensions:
            wanted = {2: "2D keypoints in images", 3: "3D joints"}
            raise InputError(
                f"{name} measures {wanted[metric.dimensions]}, but this task estimates "
                f"{wanted[dimensions]}. Take it out of evaluation.metrics."
            )
        metric.check(skeleton)
        missing = [c for c in metric.needs(skeleton) if columns is not None and c not in columns]
        if missing:
            raise InputError(
                f"{name} needs {' and '.join(missing)} of every sample, and the evaluation data "
                "does not have it. Prepare data that has it, or use another metric."
            )


def score(metrics: Sequence[Metric], estimates: Estimates, best: str = "") -> Scored:
    """Compute the figures of all `metrics`.

    The figure `best` comes first, then the main figure of each metric, then all others.

    Raises:
      InputError: two metrics report the same figure, or no metric reports `best`.
    """
    leading: dict[str, float] = {}
    others: dict[str, float] = {}
    notes: dict[str, str] = {}
    by_action: dict[str, Mapping[str, Mapping[str, float]]] = {}
    owners: dict[str, Metric] = {}
    for metric in metrics:
        result = metric(estimates)
        scored = result if isinstance(result, Scored) else Scored(result)
        first = next(iter(metric.figures))
        for name, value in scored.figures.items():
            if name in owners:
                raise _same_name(name, owners[name], metric)
            owners[name] = metric
            (leading if name == first else others)[name] = float(value)
        notes |= scored.notes
        by_action |= scored.by_action
    figures = leading | others
    if best:
        if best not in figures:
            raise InputError(
                f"No metric reported {best!r}, which picks the best checkpoint; reported: "
                f"{', '.join(figures)}."
            )
        figures = {best: figures[best]} | figures
    return Scored(figures, notes, by_action)


def _same_name(figure: str, one: Metric, other: Metric) -> InputError:
    pair = " and ".join(sorted({type(one).__name__, type(other).__name__}))
    who = f"{pair} both report" if type(one) is not type(other) else f"Two {pair} report"
    return InputError(
        f"{who} {figure!r}. Remove one of them, or put it into `more_evaluations` as an evaluation "
        "with another name."
    )
