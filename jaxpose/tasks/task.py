"""Interface of a task, through which the training loop and the commands use it.

A task is a folder beside this file with three parts: an experiment (returned by a recipe), the task
(returned by the experiment's `task()`), and an estimator (stored in a release). No list of tasks
exists, so a new task, here or in another package, changes no other file.
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
"""Function from the value of `init_from` to a state dict."""


class EvalResult(NamedTuple):
    """Result of an evaluation.

    Attributes:
      report: the figures, and the conditions under which they were computed.
      image: uint8 RGB `[H, W, 3]` of estimates beside the truth, or None.
      predictions: the estimates as JSON types.
      details: draws images for the end of training, uint8 RGB by file name without suffix:
        `keypoint_errors`, `worst`, `confusion`.
    """

    report: Report
    image: np.ndarray | None
    predictions: Any
    details: Callable[[], Mapping[str, np.ndarray]] = dict


Evaluator = Callable[..., EvalResult]
"""`evaluator(variables, on_batch=...)`; `on_batch` gets the number of finished samples."""


class Task(Protocol):
    """Part of a run that depends on the task; `source` is an object that `open` returned."""

    unit: ClassVar[str]
    """Name of the samples in a batch, as a plural noun."""

    def check(self) -> None:
        """Raise InputError if parts of the experiment do not fit together; computes shapes only."""
        ...

    def open(self, role: Literal["train", "eval"]) -> Any:
        """Open the training or held-out data: an object with a length and a `fingerprint()`."""
        ...

    def open_dataset(self, data: str, split: str) -> Any:
        """Open another prepared dataset to evaluate on."""
        ...

    def fit_to_data(self, source: Any) -> Experiment:
        """Return the experiment with the values filled in that depend on the training data."""
        ...

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        """Replace those of the `fresh` variables for which the experiment names weights."""
        ...

    def batches(
        self,
        source: Any,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, Any]]:
        """Training batches on the mesh; they depend only on the seed and the step."""
        ...

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        """Shapes and shardings of a training batch; needs no data."""
        ...

    def encode(self, key: jax.Array, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Compute augmented inputs of the model, and targets and weights of the loss; pure."""
        ...

    def without_augmentation(self) -> Experiment:
        """Return the experiment with an `encode` that changes no sample at random."""
        ...

    def evaluator(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        """Build a function that evaluates variables on a dataset.

        Raises:
          InputError: the dataset lacks the data that a metric of the evaluation needs.
        """
        ...

    def sample_names(self, source: Any, indices: np.ndarray) -> Sequence[str]:
        """Names in messages by which a person can find these samples."""
        ...

    def estimator(self, variables: Variables) -> tuple["Estimator", Variables]:
        """Return the part of a trained model that prediction needs, and its variables."""
        ...

    def next_step(self, workdir: str) -> str:
        """Command to run after training; empty if there is none."""
        ...


class Estimator(Protocol):
    """Model with all settings that prediction needs, without the variables.

    It is a frozen dataclass. The `config.json` of a release contains it as JSON, from which it is
    built again.
    """

    @property
    def takes(self) -> str:
        """Input of a prediction: "crops" around people, whole "images", "tracks", and others.

        A track is the 2D keypoints of one person over time; "clips" are such tracks of all people
        in a clip; "bodies" are crops of which a body model is made, "surfaces" crops whose pixels
        get places on a body's surface.
        """
        ...

    @property
    def model(self) -> Any:
        """Linen module of the model."""
        ...

    @property
    def codec(self) -> Any:
        """Codec that the model was trained with."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the predicted keypoints."""
        ...

    def describe_input(self) -> str:
        """Describe the input in one phrase for a model card."""
        ...

    def predictor(self, variables: Variables, **options: Any) -> Any:
        """Build the object that predicts.

        For crops and images: an object with `stream(items)`, `__call__(image, boxes_xywh)`,
        `warm_up()` and `compilations`, as in `tasks.topdown.predictor.Predictor`. For tracks: an
        object that is called as `tasks.lifting.track_lifter.TrackLifter`.
        """
        ...

    def program(
        self,
        variables: Variables,
        *,
        level: Level = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        """Build the function to export, which contains the weights.

        Raises:
          InputError: this kind of model does not have the level.
        """
        ...
