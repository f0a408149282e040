"""Task of estimating the keypoints of one person in a crop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.codecs.sample import Sample
from jaxpose.data.source import Records, Source, check_keypoints
from jaxpose.errors import InputError
from jaxpose.metrics.metric import check_metrics
from jaxpose.metrics.trial import made_up, try_metrics
from jaxpose.models.build import DatasetImages
from jaxpose.models.distillation import DistillationModel, student_of
from jaxpose.models.frames import with_frames
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.tasks.topdown.augment import STILL, augment, augment_depth, augment_frames
from jaxpose.tasks.topdown.check_shapes import check_outputs
from jaxpose.tasks.topdown.error_images import error_images
from jaxpose.tasks.topdown.estimate import coco_results, columns_of, estimate_all, make_estimate
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.tasks.topdown.pretrained import with_pretrained
from jaxpose.tasks.topdown.score import score
from jaxpose.train.device_batches import abstract_arrays, train_batches

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment

CANVAS_HW = (384, 288)
"""Canvas size if the data is not available: the default of `jaxpose prepare`."""


@dataclass(frozen=True)
class TopDownTask:
    """Task of estimating the keypoints of one person in a crop; see `task.Task`."""

    experiment: "TopDownExperiment"
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        check_outputs(self.experiment)

    def open(self, role: Literal["train", "eval"]) -> Source:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        source = self._checked(data.open(), f"{role}_data")
        if len(source) == 0:
            raise InputError(f"{role}_data is empty: {data}.")
        return source

    def open_dataset(self, data: str, split: str) -> Source:
        return self._checked(Records(path=data, split=split).open(), data)

    def _checked(self, source: Source, name: str) -> Source:
        check_keypoints(source, self.experiment.skeleton, name)
        numbers, experts = getattr(source, "datasets", ()), self.experiment.experts
        if experts and numbers and max(numbers) >= experts:
            raise InputError(
                f"{name} has dataset number {max(numbers)}, but the model has experts for "
                f"{experts} datasets (0 to {experts - 1}). Set model.backbone.experts, or change "
                "the numbers of the parts of the mixture."
            )
        frames, others = self.experiment.frames, len(getattr(source, "times", ()))
        if frames > 1 and others and others + 1 != frames:
            raise InputError(
                f"{name} has {others} frames beside the labelled one, but model.head.times has "
                f"{frames} with it. Make `times` of both agree."
            )
        return source

    def fit_to_data(self, source: Source) -> "TopDownExperiment":
        return self.experiment

    def batches(
        self,
        source: Source,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        keys = self.experiment.device_keys(source)
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, keys)

    def encode(self, key: jax.Array, batch: dict[str, jax.Array]) -> tuple[Any, Any, jax.Array]:
        """Compute augmented images `[B, H, W, 3]`, the codec's targets, weights `[B, K]`.

        The images are `DatasetImages` if the batch has the dataset of each image, and `FrameImages`
        if it has frames.

        `batch`: image uint8 `[B, Hc, Wc, 3]`, keypoints `[B, K, 2]` and box_xywh `[B, 4]` in
        canvas pixels, visible `[B, K]`, mask `[B]` (False: padding, with weight 0); dataset
        `[B]` for a model with experts; keypoints_3d `[B, K, 3]` in millimetres of the camera's
        frame for a codec of depth; frames `[B, F, Hc, Wc, 3]` and their times `[B, F]` for a model
        of several frames.
        """
        experiment = self.experiment
        skeleton, codec = experiment.skeleton, experiment.codec
        settings: dict[str, Any] = {
            "augmentation": experiment.augmentation,
            "input_hw": codec.input_hw,
            "udp": codec.udp,
            "permutation": skeleton.flip_permutation,
            "upper_body": skeleton.upper_body_mask,
            "padding": experiment.padding,
        }
        images, keypoints, visible = augment(key, batch, **settings)
        depth = None
        if "keypoints_3d" in batch:
            permutation = skeleton.flip_permutation
            depth = augment_depth(key, batch["keypoints_3d"], experiment.augmentation, permutation)
        sample = Sample(visible, keypoints, dataset=batch.get("dataset"), depth=depth)
        targets, weights = codec.encode(sample)
        inputs: Any = DatasetImages(images, batch["dataset"]) if "dataset" in batch else images
        if "frames" in batch:
            inputs = with_frames(images, augment_frames(key, batch, **settings), batch["times"])
        return inputs, targets, weights * batch["mask"][:, None]

    def evaluator(self, source: Source, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment = self.experiment
        metrics, skeleton = experiment.evaluation.metrics, experiment.skeleton
        columns = columns_of(source, experiment)
        check_metrics(metrics, skeleton, dimensions=2, columns=columns)
        try_metrics(metrics, made_up(skeleton, 2, columns))
        estimate = make_estimate(experiment, mesh, flip_test)

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            estimates, drawn = estimate_all(estimate, variables, source, experiment, mesh, on_batch)
            return EvalResult(
                score(estimates, experiment, flip_test),
                viz.contact_sheet(drawn, columns=4) if drawn else None,
                coco_results(estimates),
                lambda: error_images(estimates, source, experiment),
            )

        return scored

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return with_pretrained(self.experiment, fresh, weights)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        """Shapes of a training batch; the canvas size is that of the data, if available."""
        experiment = self.experiment
        data: Any = experiment.train_data
        try:
            data = experiment.train_data.open()
            height, width = data.canvas_hw
        except InputError:
            height, width = CANVAS_HW
        points = experiment.skeleton.num_keypoints
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((height, width, 3), jnp.uint8),
            "keypoints": ((points, 2), jnp.float32),
            "visible": ((points,), jnp.uint8),
            "box_xywh": ((4,), jnp.float32),
            "mask": ((), jnp.bool_),
            "dataset": ((), jnp.int32),
            "keypoints_3d": ((points, 3), jnp.float32),
            "frames": ((experiment.frames - 1, height, width, 3), jnp.uint8),
            "times": ((experiment.frames - 1,), jnp.float32),
        }
        keys = experiment.device_keys(data)
        read = {name: one for name, one in shapes.items() if name in keys}
        return abstract_arrays(read, experiment.batch_size, mesh)

    def without_augmentation(self) -> "TopDownExperiment":
        return replace(self.experiment, augmentation=STILL)

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
            f"annotation {annotation} of image {image} (record {index})"
            for index, annotation, image in zip(
                indices, batch["annotation_id"], batch["image_id"], strict=True
            )
        ]

    def estimator(self, variables: Variables) -> tuple[TopDownEstimator, Variables]:
        experiment, model = self.experiment, self.experiment.model
        if isinstance(model, DistillationModel):
            model, variables = model.student, student_of(variables)
        return (
            TopDownEstimator(model, experiment.codec, experiment.skeleton, experiment.padding),
            variables,
        )

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --from {workdir} --boxes full --out out"
