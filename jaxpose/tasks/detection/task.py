"""Task of detecting people, learned from a larger detector."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.convert import load_pretrained
from jaxpose.data.source import Images, Source
from jaxpose.detect.decode import Convention, convention_of
from jaxpose.detect.detector import Detector
from jaxpose.errors import InputError
from jaxpose.metrics import metric
from jaxpose.metrics.boxes import BoxesInImages
from jaxpose.metrics.report import Report
from jaxpose.models.build import abstract_variables
from jaxpose.tasks.detection.mosaic import STILL, compose
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.train.device_batches import abstract_arrays, train_batches

if TYPE_CHECKING:
    from jaxpose.tasks.detection.experiment import DetectionExperiment

KEYS = ("image", "mask")
"""Names of the arrays of a batch that the step reads."""


@dataclass(frozen=True)
class DetectionTask:
    """Task of detecting people, learned from a larger detector; see `task.Task`."""

    experiment: "DetectionExperiment"
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        """Raise InputError if student and teacher do not fit together; computes shapes only."""
        for part in (self.experiment.model.student, self.experiment.model.teacher):
            _convention(part)
        abstract_variables(self.experiment.model, self.experiment.image_hw)

    def open(self, role: Literal["train", "eval"]) -> Source:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        source: Source = data.open()
        if len(source) == 0:
            raise InputError(f"{role}_data has no images.")
        if role == "eval":
            _check_whole(source, "eval_data")
        return source

    def open_dataset(self, data: str, split: str) -> Source:
        source = Images(path=data, split=split).open()
        _check_whole(source, data)
        return source

    def fit_to_data(self, source: Source) -> "DetectionExperiment":
        return self.experiment

    def batches(
        self,
        source: Source,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, KEYS)

    def encode(self, key: jax.Array, batch: dict[str, jax.Array]) -> tuple[jax.Array, Any, Any]:
        """Compute the model's input `[B, H, W, 3]`; there are no targets."""
        experiment = self.experiment
        images = compose(key, batch["image"], experiment.image_hw, experiment.mosaic)
        prepared = _convention(experiment.model.student).prepare(images)
        return prepared, jnp.zeros(len(images)), batch["mask"][:, None].astype(jnp.float32)

    def evaluator(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment = self.experiment
        evaluation = experiment.evaluation

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            detector = self.detector(variables, evaluation.batch_size)
            found, truth, area = [], [], []
            for start in range(0, len(source), evaluation.batch_size):
                rows = np.arange(start, min(start + evaluation.batch_size, len(source)))
                batch = source.samples(rows)
                found += [each.boxes_xywh for each in detector(list(batch["image"]))]
                people = batch["valid"] & ~batch["crowd"]
                truth += [boxes[own] for boxes, own in zip(batch["box_xywh"], people, strict=True)]
                area += [areas[own] for areas, own in zip(batch["area"], people, strict=True)]
                on_batch(int(rows[-1]) + 1)
            boxes: Any = BoxesInImages(found, truth, area)
            figures = metric.score(evaluation.metrics, boxes, evaluation.best)
            report = Report(
                metrics=figures.figures,
                boxes="none: whole images",
                flip_test=False,
                decode="boxes after non-maximum suppression",
                sigmas=None,
                people=sum(map(len, truth)),
                notes={"images": f"{len(source):,}", **figures.notes},
            )
            return EvalResult(report, None, [each.tolist() for each in found])

        return scored

    def detector(self, variables: Variables, batch_size: int = 1) -> Detector:
        """Make a detector of the student."""
        student = {kind: tree.get("student", {}) for kind, tree in variables.items()}
        experiment = self.experiment
        return Detector(
            experiment.model.student, student, experiment.image_hw, batch_size=batch_size
        )

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        experiment = self.experiment
        model = experiment.model
        parts = {"teacher": load_pretrained(model.teacher, weights(experiment.teacher_from))}
        if experiment.init_from is not None:
            parts["student"] = load_pretrained(
                model.student,
                weights(experiment.init_from),
                variables={kind: tree.get("student", {}) for kind, tree in fresh.items()},
                reset_head=experiment.reset_head,
            )
        return {
            kind: tree | {name: part[kind] for name, part in parts.items() if name in tree}
            for kind, tree in fresh.items()
        }

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        """Shapes of a training batch, from the data if available."""
        experiment = self.experiment
        try:
            height, width = experiment.train_data.open().canvas_hw
        except InputError:
            height, width = experiment.image_hw
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((height, width, 3), jnp.uint8),
            "mask": ((), jnp.bool_),
        }
        return abstract_arrays(shapes, experiment.batch_size, mesh)

    def without_augmentation(self) -> "DetectionExperiment":
        return replace(self.experiment, mosaic=STILL)

    def sample_names(self, source: Source, indices: np.ndarray) -> list[str]:
        batch = source.samples(indices)
        return [
            f"image {image} (record {index})"
            for index, image in zip(indices, batch["image_id"], strict=True)
        ]

    def estimator(self, variables: Variables) -> Any:
        """A detector predicts boxes, and no keypoints.

        Raises:
          InputError: always.
        """
        raise InputError(
            "This run trained a detector, which predicts boxes and no keypoints. Write its release "
            "with `jaxpose convert`, and pass the release with --detector."
        )

    def next_step(self, workdir: str) -> str:
        return f"jaxpose convert {workdir} {workdir}-release"


def _convention(model: Any) -> Convention:
    """Convention of a part of the model; the type of the parts is that of all pose models."""
    return convention_of(model)


def _check_whole(source: Any, name: str) -> None:
    if not hasattr(source, "people"):
        raise InputError(
            f"{name} has crops of single people. A detector is evaluated on whole images, made by "
            "`jaxpose prepare coco --layout images`."
        )
