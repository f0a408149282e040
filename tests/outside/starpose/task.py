"""A task: stars in whole images, with its own batches, evaluation, prediction and export."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.sample import Sample
from jaxpose.data.index import sample_indices
from jaxpose.export.program import Program, Value
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.models.build import PoseModel
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.task import EvalResult
from jaxpose.train.mesh import batch_sharded
from starpose.codec import Polar
from starpose.data import SIZE, STARS

if TYPE_CHECKING:
    from starpose.experiment import StarExperiment


@dataclass(frozen=True)
class StarTask:
    """See `jaxpose.tasks.task.Task`."""

    experiment: "StarExperiment"
    unit: ClassVar[str] = "skies"

    def check(self) -> None:
        pass

    def open(self, role: str) -> Any:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        return data.open()

    def open_dataset(self, data: str, split: str) -> Any:
        raise TypeError("stars are drawn, not prepared")

    def fit_to_data(self, source: Any) -> "StarExperiment":
        return self.experiment

    def initial_variables(self, fresh: dict[str, Any], weights: Any) -> dict[str, Any]:
        return fresh

    def batches(
        self,
        source: Any,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, Any]]:
        step = start_step
        while True:
            if str(step) == os.environ.get("STARS_DIE_AT"):
                os.kill(os.getpid(), signal.SIGKILL)
            indices = sample_indices(
                self.experiment.seed, step, self.experiment.batch_size, len(source)
            )
            yield jax.device_put(source.samples(indices), batch_sharded(mesh))
            step += 1

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        shapes = {"image": ((SIZE, SIZE, 3), jnp.uint8), "keypoints": ((3, 2), jnp.float32)}
        return {
            name: jax.ShapeDtypeStruct(
                (self.experiment.batch_size, *shape), dtype, sharding=batch_sharded(mesh)
            )
            for name, (shape, dtype) in shapes.items()
        }

    def encode(self, key: jax.Array, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        noise = 0.01 * jax.random.normal(key, batch["image"].shape)
        visible = jnp.full(batch["keypoints"].shape[:2], 2, jnp.uint8)
        targets = self.experiment.codec.encode(Sample(visible, batch["keypoints"]))
        return batch["image"] / 255.0 + noise, targets.values, targets.weights

    def without_augmentation(self) -> "StarExperiment":
        return self.experiment

    def evaluator(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Any:
        experiment = self.experiment
        estimator = StarEstimator(experiment.model, experiment.codec, experiment.skeleton)

        def evaluate(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            samples = source.samples(np.arange(len(source)))
            keypoints, _ = estimator.forward(variables, samples["image"])
            visible = np.full(samples["keypoints"].shape[:2], 2)
            estimates = Estimates(experiment.skeleton, keypoints, samples["keypoints"], visible)
            on_batch(len(source))
            evaluation = experiment.evaluation
            scored = score(evaluation.metrics, estimates, evaluation.best)
            report = Report(
                metrics=scored.figures,
                boxes="whole images",
                flip_test=False,
                decode="polar",
                sigmas=None,
                people=len(source),
            )
            return EvalResult(report, None, keypoints.tolist())

        return evaluate

    def sample_names(self, source: Any, indices: np.ndarray) -> Sequence[str]:
        return [f"sky {i}" for i in indices]

    def estimator(self, variables: dict[str, Any]) -> tuple["StarEstimator", dict[str, Any]]:
        experiment = self.experiment
        return StarEstimator(experiment.model, experiment.codec, experiment.skeleton), variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict SKY --from {workdir} --out out"


@dataclass(frozen=True)
class StarEstimator:
    """See `jaxpose.tasks.task.Estimator`."""

    model: PoseModel
    codec: Polar
    skeleton: Skeleton = STARS
    takes: ClassVar[str] = "images"

    def describe_input(self) -> str:
        return f"RGB, {SIZE} x {SIZE} pixels, a sky"

    def forward(self, variables: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 `[B, 32, 32, 3]` -> keypoints `[B, 3, 2]` in pixels and scores `[B, 3]`."""
        decoded = self.codec.decode(self.model.apply(variables, jnp.asarray(images) / 255.0))
        return np.asarray(decoded.keypoints), np.asarray(decoded.scores)

    def predictor(self, variables: Any, **options: Any) -> "StarPredictor":
        return StarPredictor(self, variables)

    def program(
        self,
        variables: Any,
        *,
        level: str = "crops",
        flip_test: bool = True,
        image_hw: tuple[int, int] = (1080, 1920),
    ) -> Program:
        def function(images: jax.Array) -> dict[str, jax.Array]:
            decoded = self.codec.decode(self.model.apply(variables, images / 255.0))
            return {"keypoints": decoded.keypoints}

        def skies(count: int) -> tuple[np.ndarray, ...]:
            rng = np.random.default_rng(0)
            return (rng.uniform(0, 255, (count, SIZE, SIZE, 3)).astype(np.float32),)

        return Program(
            function,
            (Value("images", ("B", SIZE, SIZE, 3), "float32", "RGB, 0 to 255"),),
            (Value("keypoints", ("B", 3, 2), "float32", "(x, y) in pixels"),),
            "crops",
            pixels=("keypoints",),
            samples=skies,
        )


class StarPredictor:
    """Predicts the three stars of each image."""

    def __init__(self, estimator: StarEstimator, variables: Any) -> None:
        self.estimator, self.variables = estimator, variables
        self.codec, self.skeleton = estimator.codec, estimator.skeleton
        self.batch_size, self.compilations = 1, 0

    def warm_up(self, *, every_size: bool = True) -> None:
        pass

    def __call__(self, image: np.ndarray, boxes_xywh: Any = None) -> People:
        return next(self.stream([(image, boxes_xywh)]))

    def stream(
        self, items: Iterable[tuple[np.ndarray, Any]], *, full: bool = False
    ) -> Iterator[People]:
        for image, _ in items:
            height, width = image.shape[:2]
            small = image[: SIZE * (height // SIZE) : height // SIZE, :: width // SIZE]
            keypoints, scores = self.estimator.forward(self.variables, small[None, :SIZE, :SIZE])
            box = np.float32([[0, 0, width, height]])
            scaled = keypoints * np.float32([width / SIZE, height / SIZE])
            yield People(self.skeleton, (height, width), scaled, scores, box, np.zeros(1, np.int64))
