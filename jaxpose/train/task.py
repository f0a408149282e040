"""What an experiment trains, behind one face: the loop, the step and the commands know no more."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import numpy as np

from jaxpose.config import AnyExperiment, Experiment
from jaxpose.metrics.report import Report


class Scored(NamedTuple):
    """An evaluation.

    Attributes:
      report: the figures, with all that they depend on.
      picture: uint8 RGB `[H, W, 3]` of estimates beside the truth; None where there is none.
      predictions: the estimates as JSON types.
    """

    report: Report
    picture: np.ndarray | None
    predictions: Any


Scorer = Callable[..., Scored]
"""`scorer(variables, on_batch=...)`; `on_batch` hears how many samples are done."""


class Task(Protocol):
    """The part of a run that depends on what is trained; `source` is what `open` returned."""

    unit: ClassVar[str]
    """What a batch holds, in the plural."""

    def check(self) -> None:
        """Refuse parts that do not fit together (InputError); computes shapes only."""
        ...

    def open(self, role: str) -> Any:
        """The data set of `train` or `eval`: it has a length and a `fingerprint()`."""
        ...

    def elsewhere(self, data: str, split: str) -> Any:
        """Another prepared data set to evaluate on."""
        ...

    def fitted(self, source: Any) -> AnyExperiment:
        """The experiment with what the training data decides filled in."""
        ...

    def batches(
        self,
        source: Any,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, Any]]:
        """Training batches on the mesh, a function of the seed and the step alone."""
        ...

    def encode(self, key: jax.Array, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Augmented inputs of the model, and targets and weights of the loss; pure."""
        ...

    def scorer(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Scorer:
        """What evaluates variables on a data set."""
        ...


def task_of(experiment: AnyExperiment) -> Task:
    """The task that the class of the experiment stands for."""
    if isinstance(experiment, Experiment):
        from jaxpose.train.images import ImageTask

        return ImageTask(experiment)
    from jaxpose.train.lifting import LiftingTask

    return LiftingTask(experiment)
