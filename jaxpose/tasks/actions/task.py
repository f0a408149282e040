"""Task of actions: from clips of people's keypoints to classes.

The whole dataset is on the device; a batch is a gather of sampled frames.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.codecs.clips import sampled_frames
from jaxpose.data.action_clips import ActionClips
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.data.windows import indices_ahead, take_frames
from jaxpose.errors import InputError
from jaxpose.metrics.actions import ClassScores
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.tasks.actions.augment import augmented
from jaxpose.tasks.actions.estimator import ActionEstimator
from jaxpose.tasks.actions.forward import class_scores
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.train.mesh import batch_sharded, replicated

if TYPE_CHECKING:
    from jaxpose.tasks.actions.experiment import ActionExperiment


Batch = dict[str, Any]


@dataclass(frozen=True)
class ActionSource:
    """Clips in memory, with the skeleton and the number of people of the model."""

    clips: ActionClips
    digest: str

    def __len__(self) -> int:
        return len(self.clips)

    def fingerprint(self) -> str:
        """Digest that identifies the content."""
        return self.digest


@dataclass(frozen=True)
class ActionTask:
    """Task of classes of clips; see `task.Task`."""

    experiment: "ActionExperiment"
    unit: ClassVar[str] = "clips"

    def check(self) -> None:
        """Raise InputError if the model does not take the codec's inputs; computes shapes only."""
        experiment = self.experiment
        model: Any = experiment.model
        clips = jax.ShapeDtypeStruct((1, *experiment.codec.input_shape), jnp.float32)
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x), clips)

    def open(self, role: Literal["train", "eval"]) -> ActionSource:
        experiment = self.experiment
        data = experiment.train_data if role == "train" else experiment.eval_data
        return self._source(data)

    def open_dataset(self, data: str, split: str) -> ActionSource:
        return self._source(ActionDataset(data, split=(split,)))

    def _source(self, data: Any) -> ActionSource:
        experiment, clips = self.experiment, data.open()
        where = getattr(data, "path", "The drawn data")
        count, people = experiment.model.head.num_classes, experiment.codec.people
        if experiment.classes and clips.classes != experiment.classes:
            raise InputError(
                f"{where} has the classes {_listed(clips.classes)}, but the model was trained on "
                f"{_listed(experiment.classes)}. Names and order must be the same."
            )
        if len(clips.classes) != count:
            raise InputError(
                f"{where} has {len(clips.classes)} classes, but the model has {count} logits: set "
                f"model.head.num_classes={len(clips.classes)}."
            )
        if clips.dimensions < experiment.codec.dimensions:
            raise InputError(f"{where} has 2D keypoints, but codec.dimensions is 3.")
        if clips.dimensions > experiment.codec.dimensions:
            raise InputError(f"{where} has 3D joints, but the codec takes 2D keypoints of images.")
        if getattr(experiment.codec, "frame", "") == "image" and (clips.image_wh < 1).any():
            raise InputError(
                f"{where} does not state the size of all images, which codec.frame 'image' needs: "
                "use 'box'."
            )
        return ActionSource(
            _with_people(clips.on_skeleton(experiment.skeleton), people), data.fingerprint()
        )

    def fit_to_data(self, source: ActionSource) -> "ActionExperiment":
        """Return the experiment with the names of the classes."""
        return dataclasses.replace(self.experiment, classes=source.clips.classes)

    def batches(
        self,
        source: ActionSource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[Batch]:
        """Clips of the global batch of each step, gathered on the device.

        All frames of a clip that may be sampled are drawn in `encode`, so a batch has clips of the
        length of the longest one.
        """
        experiment = self.experiment
        arrays = _on_device(source.clips, replicated(mesh))
        on_loaded(len(source))
        sharding = batch_sharded(mesh)
        longest = int(source.clips.length.max())

        @jax.jit
        def take(arrays: Batch, ahead: jax.Array, i: jax.Array) -> Batch:
            batch = _gather(arrays, ahead[i], longest)
            return jax.lax.with_sharding_constraint(batch, sharding)

        size, everywhere = experiment.batch_size, replicated(mesh)
        for ahead, row in indices_ahead(experiment.seed, start_step, size, len(source), everywhere):
            yield take(arrays, ahead, row)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> Batch:
        """Shapes of a training batch, whose longest clip is assumed to have the model's frames."""
        experiment, codec = self.experiment, self.experiment.codec
        size, sharding = experiment.batch_size, batch_sharded(mesh)
        points = experiment.skeleton.num_keypoints

        def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((size, *sizes), dtype, sharding=sharding)

        return {
            "keypoints": shape(codec.frames, codec.people, points, codec.dimensions),
            "scores": shape(codec.frames, codec.people, points),
            "length": shape(dtype=jnp.int32),
            "label": shape(dtype=jnp.int32),
            "image_wh": shape(2, dtype=jnp.int32),
        }

    def encode(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Inputs of the model, labels `[B]` and weights `[B]`.

        `batch`: keypoints `[B, T, P, K, D]`, scores `[B, T, P, K]`, length, label `[B]`, image_wh
        `[B, 2]`; frames from `length` on have no effect.
        """
        experiment, codec = self.experiment, self.experiment.codec
        sample_key, augment_key = jax.random.split(key)
        varied = experiment.mirror or experiment.rotate or experiment.scale
        framed, scores = _sampled(codec, batch, sample_key if experiment.sample else None)
        if varied:
            framed, scores = augmented(augment_key, framed, scores, experiment)
        return codec.encode(framed, scores), batch["label"], jnp.ones(len(batch["label"]))

    def without_augmentation(self) -> "ActionExperiment":
        return dataclasses.replace(
            self.experiment, mirror=False, rotate=0.0, scale=0.0, sample=False
        )

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def sample_names(self, source: ActionSource, indices: np.ndarray) -> list[str]:
        return [f"clip {source.clips.name[index]}" for index in indices]

    def estimator(self, variables: Variables) -> tuple[ActionEstimator, Variables]:
        experiment = self.experiment
        classes = experiment.classes or tuple(
            str(i) for i in range(experiment.model.head.num_classes)
        )
        return (
            ActionEstimator(experiment.model, experiment.codec, experiment.skeleton, classes),
            variables,
        )

    def next_step(self, workdir: str) -> str:
        return f"jaxpose eval {workdir}"

    def evaluator(
        self, source: ActionSource, mesh: jax.sharding.Mesh, flip_test: bool
    ) -> Evaluator:
        experiment, clips = self.experiment, source.clips
        evaluation, codec = experiment.evaluation, experiment.codec
        whole = replicated(mesh)
        arrays = _on_device(clips, whole)
        longest = int(clips.length.max())
        permutation = experiment.skeleton.flip_permutation if flip_test else None

        @functools.partial(jax.jit, out_shardings=whole)
        def estimate(variables: Any, arrays: Batch, indices: jax.Array) -> jax.Array:
            batch = _gather(arrays, indices, longest)
            batch = jax.lax.with_sharding_constraint(batch, batch_sharded(mesh))
            framed, scores = _sampled(codec, batch, None)
            return class_scores(
                variables,
                framed,
                scores,
                model=experiment.model,
                codec=codec,
                permutation=permutation,
            )

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            size, count = evaluation.batch_size, len(clips)
            found = []
            for start in range(0, count, size):
                indices = np.minimum(np.arange(start, start + size), count - 1).astype(np.int32)
                part = min(size, count - start)
                found.append(np.asarray(estimate(variables, arrays, indices))[:part])
                on_batch(start + part)
            estimates = ClassScores(np.concatenate(found), clips.label, clips.classes)
            return _result(estimates, clips, experiment, flip_test)

        return scored


def _result(
    estimates: ClassScores, clips: ActionClips, experiment: "ActionExperiment", flip_test: bool
) -> EvalResult:
    evaluation: Any = experiment.evaluation
    found: Any = estimates
    scored = score(evaluation.metrics, found, evaluation.best)
    report = Report(
        metrics=scored.figures,
        boxes="none: keypoints of the dataset",
        flip_test=flip_test,
        decode=experiment.codec.describe(),
        sigmas=None,
        people=len(clips),
        unit="clips",
        notes={"unit": "per cent of clips", "classes": str(len(clips.classes)), **scored.notes},
    )
    predictions = {
        "classes": list(clips.classes),
        "confusion": estimates.confusion().tolist(),
        "clips": [
            {
                "name": str(clips.name[i]),
                "label": clips.classes[clips.label[i]],
                "predicted": clips.classes[int(row.argmax())],
                "scores": [round(float(value), 6) for value in row],
            }
            for i, row in enumerate(estimates.scores)
        ],
    }
    return EvalResult(
        report,
        None,
        predictions,
        lambda: {"confusion": viz.confusion_matrix(estimates.confusion(), clips.classes)},
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _with_people(clips: ActionClips, people: int) -> ActionClips:
    """Clips of exactly `people` people: the first ones, or filled up with people not seen."""
    keypoints, scores = clips.keypoints[:, :people], clips.scores[:, :people]
    more = ((0, 0), (0, people - keypoints.shape[1]), (0, 0))
    return dataclasses.replace(
        clips, keypoints=np.pad(keypoints, (*more, (0, 0))), scores=np.pad(scores, more)
    )


def _on_device(clips: ActionClips, sharding: jax.sharding.Sharding) -> Batch:
    if clips.length.sum() >= 2**31:
        raise InputError(f"{clips.length.sum():,} frames are more than an int32 index can hold.")
    arrays = {
        "keypoints": clips.keypoints,
        "scores": clips.scores,
        "first": clips.first.astype(np.int32),
        "length": clips.length,
        "label": clips.label,
        "image_wh": clips.image_wh,
    }
    return jax.device_put(arrays, sharding)


def _gather(arrays: Batch, indices: jax.Array, longest: int) -> Batch:
    """Gather the clips `indices [B]`; after its last frame, a clip's last frame is repeated."""
    batch = {
        name: jnp.take(arrays[name], indices, axis=0)
        for name in ("first", "length", "label", "image_wh")
    }
    first = batch.pop("first")[:, None]
    frames = jnp.arange(longest, dtype=jnp.int32)[None]
    frames = first + jnp.minimum(frames, batch["length"][:, None] - 1)
    return batch | {name: take_frames(arrays[name], frames) for name in ("keypoints", "scores")}


def _sampled(codec: Any, batch: Batch, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Sampled frames of a batch: framed coordinates `[B, T, P, K, D]` and scores."""
    frames = sampled_frames(batch["length"], codec.frames, key)
    keypoints = jnp.take_along_axis(batch["keypoints"], frames[:, :, None, None, None], axis=1)
    scores = jnp.take_along_axis(batch["scores"], frames[:, :, None, None], axis=1)
    return codec.framed(keypoints, scores, batch["image_wh"]), scores
