"""The interface of a task: all that the training loop and the commands know of what is trained.

A task is a folder beside this file: an experiment (what a recipe returns), the task that the
experiment's `task()` gives, and an estimator (what a release holds). Nothing lists the tasks, so a
new one, here or in another package, edits no file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import jax
import numpy as np

from jaxpose.export.program import Level, Program
from jaxpose.metrics.report import Report
from jaxpose.skeletons import Skeleton
from jaxpose.train.experiment import Experiment

Variables = dict[str, Any]
"""`{"params": ..., "batch_stats": ...}` of a model."""

Weights = Callable[[str], Mapping[str, np.ndarray]]
"""From what `init_from` names to a state dict."""


class EvalResult(NamedTuple):
    """An evaluation.

    Attributes:
      report: the figures, with all that they depend on.
      image: uint8 RGB `[H, W, 3]` of estimates beside the truth; None where there is none.
      predictions: the estimates as JSON types.
      details: draws what is looked at when training has ended, uint8 RGB by file name without
        suffix: `keypoint_errors`, `worst`.
    """

    report: Report
    image: np.ndarray | None
    predictions: Any
    details: Callable[[], Mapping[str, np.ndarray]] = dict


Evaluator = Callable[..., EvalResult]
"""`evaluator(variables, on_batch=...)`; `on_batch` gets the number of samples done so far."""


class Task(Protocol):
    """The part of a run that depends on what is trained; `source` is what `open` returned."""

    unit: ClassVar[str]
    """Name of the samples in a batch, in the plural."""

    def check(self) -> None:
        """Refuse parts that do not fit together (InputError); computes shapes only."""
        ...

    def open(self, role: Literal["train", "eval"]) -> Any:
        """Open the training or held-out data: an object with a length and a `fingerprint()`."""
        ...

    def open_dataset(self, data: str, split: str) -> Any:
        """Open another prepared dataset to evaluate on."""
        ...

    def fit_to_data(self, source: Any) -> Experiment:
        """The experiment with all that follows from the training data filled in."""
        ...

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        """`fresh` variables with those in place that the experiment starts from."""
        ...

    def batches(
        self,
        source: Any,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, Any]]:
        """Training batches on the mesh; a function of the seed and the step alone."""
        ...

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        """Shapes and shardings of a training batch; needs no data."""
        ...

    def encode(self, key: jax.Array, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Augmented inputs of the model, and targets and weights of the loss; pure."""
        ...

    def without_augmentation(self) -> Experiment:
        """The experiment whose `encode` changes no sample at random."""
        ...

    def evaluator(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        """A function that scores variables on a dataset.

        Raises:
          InputError: the dataset cannot feed a metric of the evaluation.
        """
        ...

    def sample_names(self, source: Any, indices: np.ndarray) -> Sequence[str]:
        """Names by which a person finds these samples again, for messages."""
        ...

    def estimator(self, variables: Variables) -> tuple["Estimator", Variables]:
        """The part of a trained model that prediction needs, and its variables."""
        ...

    def next_step(self, workdir: str) -> str:
        """A command to type after training; empty if there is none."""
        ...


class Estimator(Protocol):
    """A model with all that prediction needs beside its variables.

    A frozen dataclass: its JSON form stands in the `config.json` of a release, from which it is
    built again.

    """

    @property
    def takes(self) -> str:
        """Input of a prediction: "crops" around people, whole "images", or "tracks".

        A track is the 2D keypoints of one person over time.
        """
        ...

    @property
    def model(self) -> Any:
        """The Linen module."""
        ...

    @property
    def codec(self) -> Any:
        """The codec that the model was trained with."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints."""
        ...

    def describe_input(self) -> str:
        """One phrase for a model card."""
        ...

    def predictor(self, variables: Variables, **options: Any) -> Any:
        """Ready to predict.

        From crops and images: an object with `stream(items)`, `__call__(image, boxes_xywh)`,
        `warm_up()` and `compilations`, as `tasks.topdown.predictor.Predictor`. From tracks: one
        that is called as `tasks.lifting.track_lifter.TrackLifter`.
        """
        ...

    def program(
        self,
        variables: Variables,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        photo_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """The function to export, with the weights inside.

        Raises:
          InputError: a level that this kind of model does not have.
        """
        ...
