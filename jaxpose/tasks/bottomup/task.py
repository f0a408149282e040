"""Task of estimating the keypoints of all people in whole images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import numpy as np

from jaxpose import viz
from jaxpose.codecs.codec import border_of
from jaxpose.data.instances import image_shapes
from jaxpose.data.source import Images, Source, check_keypoints
from jaxpose.errors import InputError
from jaxpose.metrics.trial import made_up_people, try_metrics
from jaxpose.models.build import abstract_variables
from jaxpose.tasks.bottomup.augment import STILL, augment
from jaxpose.tasks.bottomup.estimate import DEVICE_KEYS, estimate_all, make_estimate, score
from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
from jaxpose.tasks.bottomup.mix import mixed
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.train.device_batches import abstract_arrays, train_batches

if TYPE_CHECKING:
    from jaxpose.tasks.bottomup.experiment import BottomUpExperiment


@dataclass(frozen=True)
class BottomUpTask:
    """Task of estimating the keypoints of all people in whole images; see `task.Task`."""

    experiment: "BottomUpExperiment"
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        """Raise InputError if the codec cannot decode the model's outputs; computes shapes only."""
        model, codec = self.experiment.model, self.experiment.codec
        variables = abstract_variables(model, codec.input_hw)
        images = jax.ShapeDtypeStruct((1, *codec.input_hw, 3), np.float32)
        outputs = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images)
        check_levels = getattr(codec, "check_levels", None)
        if check_levels is not None:
            check_levels(outputs, self.experiment.skeleton.num_keypoints)
            return
        given = tuple(x.shape[1:] for x in jax.tree.leaves(outputs))
        wanted = codec.output_shapes(self.experiment.skeleton.num_keypoints)
        if given not in wanted:
            first = wanted[0] if wanted else ()
            words = [" and ".join(str(list(s)) for s in shapes) for shapes in (given, first)]
            raise InputError(
                f"The model's outputs are {words[0]}, but {type(codec).__name__} decodes "
                f"{words[1] or 'another number of keypoints'} (height, width, channels). Use the "
                "head of this codec (CenterOffsetHead, DisplacementHead), and make "
                "codec.heatmap_hw the resolution of its maps."
            )

    def open(self, role: Literal["train", "eval"]) -> Source:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        return self._checked(data.open(), f"{role}_data")

    def open_dataset(self, data: str, split: str) -> Source:
        return self._checked(Images(path=data, split=split).open(), data)

    def _checked(self, source: Source, name: str) -> Source:
        check_keypoints(source, self.experiment.skeleton, name)
        if len(source) == 0:
            raise InputError(f"{name} has no images.")
        if not hasattr(source, "people"):
            raise InputError(
                f"{name} has crops of single people. Training on whole images needs data such as "
                "Images(...), made by `jaxpose prepare coco --layout images`."
            )
        return source

    def fit_to_data(self, source: Source) -> "BottomUpExperiment":
        return self.experiment

    def batches(
        self,
        source: Source,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, DEVICE_KEYS)

    def encode(self, key: jax.Array, batch: dict[str, jax.Array]) -> tuple[jax.Array, Any, Any]:
        """Compute the model's input, augmented images `[B, H, W, 3]`, the targets and weights.

        `batch`: the arrays `DEVICE_KEYS` of `data.instances`.
        """
        experiment = self.experiment
        codec = experiment.codec
        settings: dict[str, Any] = {
            "augmentation": experiment.augmentation,
            "input_hw": codec.input_hw,
            "heatmap_hw": codec.heatmap_hw,
            "permutation": experiment.skeleton.flip_permutation,
            "udp": codec.udp,
            "border": border_of(codec),
        }
        if experiment.mix is not None:
            images, sample = mixed(key, batch, mix=experiment.mix, **settings)
        else:
            images, sample, _ = augment(key, batch, **settings)
        targets = codec.encode(sample)
        # Some models see in training where the annotated people are (`codecs.InstanceHeatmaps`).
        guided = getattr(codec, "guided", None)
        return images if guided is None else guided(images, targets), *targets

    def evaluator(self, source: Source, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment = self.experiment
        try_metrics(experiment.evaluation.metrics, made_up_people(experiment.skeleton))
        estimate = make_estimate(experiment, mesh, flip_test)

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            estimates = estimate_all(estimate, variables, source, experiment, mesh, on_batch)
            drawn = estimates.drawn
            return EvalResult(
                score(estimates, experiment, flip_test),
                viz.contact_sheet(drawn, columns=2) if drawn else None,
                estimates.coco_results(),
            )

        return scored

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        """Shapes of a training batch, from the data if available, else from the codec."""
        experiment = self.experiment
        canvas_hw, people = experiment.codec.input_hw, experiment.codec.max_people
        try:
            source: Any = experiment.train_data.open()
            canvas_hw, people = source.canvas_hw, source.people
        except InputError:
            pass
        shapes = image_shapes(canvas_hw, people, experiment.skeleton.num_keypoints)
        read = {name: shapes[name] for name in DEVICE_KEYS}
        return abstract_arrays(read, experiment.batch_size, mesh)

    def without_augmentation(self) -> "BottomUpExperiment":
        return replace(self.experiment, augmentation=STILL, mix=None)

    def lower_evaluation(self, variables: Variables, mesh: jax.sharding.Mesh) -> jax.stages.Lowered:
        """Lower the pass over a batch of the evaluation, for shapes of variables; needs no data."""
        evaluation = self.experiment.evaluation
        estimate: Any = make_estimate(self.experiment, mesh, evaluation.flip_test)
        sized = replace(self.experiment, batch_size=evaluation.batch_size)
        lowered: jax.stages.Lowered = estimate.lower(variables, sized.task().abstract_batch(mesh))
        return lowered

    def sample_names(self, source: Source, indices: np.ndarray) -> list[str]:
        batch = source.samples(indices)
        return [
            f"image {image} (record {index})"
            for index, image in zip(indices, batch["image_id"], strict=True)
        ]

    def estimator(self, variables: Variables) -> tuple[BottomUpEstimator, Variables]:
        experiment = self.experiment
        return (
            BottomUpEstimator(experiment.model, experiment.codec, experiment.skeleton),
            variables,
        )

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --from {workdir} --out out"
