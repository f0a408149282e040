"""Task of refining 2D tracks: corrupted keypoints of a window of frames to the true ones.

The whole dataset is on the device; a batch is a gather of windows by index.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.data.motion import Motion
from jaxpose.data.motion_dataset import MotionDataset, SyntheticMotion
from jaxpose.data.virtual_cameras import before_each_camera
from jaxpose.data.windows import Windows, covering, frame_indices, indices_ahead, take_frames
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import values_at
from jaxpose.geometry.mirror import mirror
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import check_metrics, score
from jaxpose.metrics.report import Report
from jaxpose.metrics.trial import made_up, try_metrics
from jaxpose.tasks.refining.corruption import corrupted
from jaxpose.tasks.refining.estimator import RefiningEstimator
from jaxpose.tasks.refining.track_refiner import on_lines
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.train.mesh import batch_sharded, replicated

if TYPE_CHECKING:
    from jaxpose.tasks.refining.experiment import RefiningExperiment

_PART = 256  # frames that get faults together
_COLUMNS = frozenset(("index", "clip", "subject", "action", "box_xywh"))

Batch = dict[str, Any]


@dataclass(frozen=True)
class TrackSource:
    """Clips of 2D keypoints in memory, and windows of `span` frames of them."""

    motion: Motion
    windows: Windows
    span: int
    digest: str

    def __len__(self) -> int:
        return len(self.windows.at)

    def fingerprint(self) -> str:
        """Digest that identifies the content."""
        return self.digest


@dataclass(frozen=True)
class RefiningTask:
    """Task of refining 2D tracks; see `task.Task`."""

    experiment: "RefiningExperiment"
    unit: ClassVar[str] = "windows"

    def check(self) -> None:
        """Raise InputError if the model does not give a position for every keypoint."""
        experiment, codec = self.experiment, self.experiment.codec
        model: Any = experiment.model
        shape = (1, codec.frames, experiment.skeleton.num_keypoints)
        example = jax.ShapeDtypeStruct((*shape, 3), jnp.float32)
        answer, _ = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), example)
        if answer.shape != (*shape, 2):
            raise InputError(
                f"The model gives {list(answer.shape)} for keypoints {list(example.shape)}; it must"
                f" give {[*shape, 2]}."
            )

    def open(self, role: Literal["train", "eval"]) -> TrackSource:
        experiment = self.experiment
        return self._source(experiment.train_data if role == "train" else experiment.eval_data)

    def open_dataset(self, data: str, split: str) -> TrackSource:
        given = self.experiment.eval_data
        rig = given.rig if isinstance(given, MotionDataset) else None
        return self._source(MotionDataset(data, split=(split,), rig=rig))

    def _source(self, data: MotionDataset | SyntheticMotion) -> TrackSource:
        motion, skeleton = data.open(), self.experiment.skeleton
        where = data.path if isinstance(data, MotionDataset) else "The drawn motion"
        if motion.skeleton.keypoints != skeleton.keypoints:
            raise InputError(
                f"{where} has the joints of skeleton {motion.skeleton.name!r}, but the "
                f"experiment's skeleton is {skeleton.name!r}."
            )
        if isinstance(data, MotionDataset):
            data.check_rig(motion)
            if data.rig is not None:
                rig = data.rig
                motion = before_each_camera(motion, rig.open(), rig.image_wh, rig.area_mm)
        codec, rates = self.experiment.codec, motion.fps
        low = codec.fps[0]
        slow = np.flatnonzero(rates < low * (1 - 1e-6))
        if slow.size:
            raise InputError(
                f"{where}: {slow.size} of {len(rates)} clips have less than codec.fps[0] = {low:g} "
                f"frames per second, the first {rates[slow[0]]:g} (0: unknown). Lower codec.fps, "
                "or leave these clips out."
            )
        span = _span(codec.frames, float(rates.max()) / low)
        windows = covering(motion.length, span, 1)
        return TrackSource(motion, windows, span, data.fingerprint())

    def fit_to_data(self, source: TrackSource) -> "RefiningExperiment":
        return self.experiment

    def batches(
        self,
        source: TrackSource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[Batch]:
        """Windows of the global batch of each step, gathered on the device."""
        experiment, motion = self.experiment, source.motion
        arrays = {
            "keypoints": motion.keypoints,
            "labelled": _labelled(motion),
            "fps": motion.fps[motion.clip_of_frame],
        }
        arrays = jax.device_put(arrays, replicated(mesh))
        windows = jax.device_put(source.windows, replicated(mesh))
        on_loaded(len(source))
        sharding = batch_sharded(mesh)

        @jax.jit
        def take(arrays: Batch, windows: Windows, ahead: jax.Array, i: jax.Array) -> Batch:
            frames, inside = frame_indices(windows, ahead[i], 0, source.span - 1)
            batch = {name: take_frames(arrays[name], frames) for name in ("keypoints", "labelled")}
            batch["labelled"] = batch["labelled"] & inside[..., None]
            batch["fps"] = jnp.take(arrays["fps"], frames[:, 0])
            return jax.lax.with_sharding_constraint(batch, sharding)

        size, everywhere = experiment.batch_size, replicated(mesh)
        for ahead, row in indices_ahead(experiment.seed, start_step, size, len(source), everywhere):
            yield take(arrays, windows, ahead, row)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> Batch:
        """Shapes of a training batch, for data at the highest rate of the codec."""
        experiment, codec = self.experiment, self.experiment.codec
        span = _span(codec.frames, codec.fps[1] / codec.fps[0])
        count, sharding = experiment.skeleton.num_keypoints, batch_sharded(mesh)

        def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((experiment.batch_size, *sizes), dtype, sharding=sharding)

        return {
            "keypoints": shape(span, count, 2),
            "labelled": shape(span, count, dtype=bool),
            "fps": shape(),
        }

    def encode(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Inputs `[B, T, K, 3]`, targets `[B, T, K, 2]` and weights `[B, T, K]`.

        `batch`: keypoints `[B, T', K, 2]` pixels and labelled `[B, T', K]` of frames at `fps [B]`.
        """
        experiment, codec = self.experiment, self.experiment.codec
        rate_key, move_key, fault_key = jax.random.split(key, 3)
        keypoints, labelled = _at_random_rate(rate_key, batch, codec)
        _, place = codec.framed(keypoints, labelled)
        true = _moved(move_key, codec.encode(keypoints, place), experiment)
        found, known = corrupted(
            fault_key, true, experiment.skeleton.flip_permutation, experiment.corruption
        )
        inputs, around = codec.framed(found, known & labelled)
        # Nothing is learnt of a keypoint that is missing in the whole window.
        weights = labelled & (known & labelled).any(axis=1, keepdims=True)
        return inputs, codec.encode(true, around), weights.astype(jnp.float32)

    def without_augmentation(self) -> "RefiningExperiment":
        plain = dataclasses.replace(
            self.experiment.corruption,
            noise=(0.0, 0.0),
            jumps=0.0,
            swaps=0.0,
            gaps=0.0,
            absences=0.0,
            short=0.0,
        )
        return dataclasses.replace(self.experiment, mirror=False, turn=0.0, corruption=plain)

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def sample_names(self, source: TrackSource, indices: np.ndarray) -> list[str]:
        return [f"window {index}" for index in indices]

    def estimator(self, variables: Variables) -> tuple[RefiningEstimator, Variables]:
        experiment = self.experiment
        return (
            RefiningEstimator(experiment.model, experiment.codec, experiment.skeleton),
            variables,
        )

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict VIDEO --smooth {workdir}"

    def evaluator(self, source: TrackSource, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment, motion = self.experiment, source.motion
        evaluation, skeleton = experiment.evaluation, experiment.skeleton
        check_metrics(evaluation.metrics, skeleton, dimensions=2, columns=_COLUMNS)
        try_metrics(evaluation.metrics, made_up(skeleton, 2, _COLUMNS))
        faulty, known = corrupted_clips(motion, evaluation.corruption)

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            estimator, kept = self.estimator(variables)
            refiner = estimator.predictor(kept)
            found, done = np.zeros(faulty.shape), 0
            for rows, fps in _clips(motion):
                given = np.where(known[rows, :, None], faulty[rows], np.nan)
                refined = refiner(given, fps=fps)
                # A keypoint that is missing for longer than a window stays on its line.
                found[rows] = np.where(np.isfinite(refined), refined, faulty[rows])
                done += max(rows.stop - rows.start - source.span + 1, 1)
                on_batch(min(done, len(source)))
            return _result(found, faulty, motion, experiment)

        return scored


def corrupted_clips(motion: Motion, kinds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints `[N, K, 2]` of all clips with faults, and which are known `[N, K]`.

    Missing ones are on lines between their neighbours. The faults follow from the row, so they are
    always the same.
    """
    kinds = dataclasses.replace(kinds, short=0.0)
    true, known = np.array(motion.keypoints, np.float64), _labelled(motion)
    sizes = sizes_of(motion)[motion.clip_of_frame, None, None]
    # In parts of one length, so that one program is compiled.
    more = -len(true) % _PART
    parts = np.pad(true / sizes, ((0, more), (0, 0), (0, 0)))
    parts = parts.reshape(-1, _PART, *true.shape[1:]).astype(np.float32)
    draw = jax.jit(
        functools.partial(corrupted, permutation=motion.skeleton.flip_permutation, kinds=kinds)
    )
    found, there = draw(jax.random.key(0), parts)
    faulty = sizes * np.asarray(found, np.float64).reshape(-1, *true.shape[1:])[: len(true)]
    known &= np.asarray(there).reshape(-1, known.shape[1])[: len(true)]
    for rows, _ in _clips(motion):
        faulty[rows] = on_lines(faulty[rows], known[rows])
    return faulty, known


def boxes_of(motion: Motion) -> np.ndarray:
    """Mean box (x, y, w, h) around the labelled keypoints of each clip, `[S, 4]`; zeros if none."""
    labelled, boxes = _labelled(motion), np.zeros((len(motion.length), 4))
    for i, (rows, _) in enumerate(_clips(motion)):
        there = labelled[rows].any(axis=1)
        if there.any():
            points = np.asarray(motion.keypoints)[rows][there]
            seen = labelled[rows][there][..., None]
            low = np.where(seen, points, np.inf).min(axis=1).mean(axis=0)
            high = np.where(seen, points, -np.inf).max(axis=1).mean(axis=0)
            boxes[i] = np.concatenate([low, high - low])
    return boxes


def sizes_of(motion: Motion) -> np.ndarray:
    """Size of the person in each clip, `[S]`: the longer side of the box."""
    return np.maximum(boxes_of(motion)[:, 2:].max(axis=1), 1e-6)


def _result(
    found: np.ndarray, faulty: np.ndarray, motion: Motion, experiment: "RefiningExperiment"
) -> EvalResult:
    evaluation, clip = experiment.evaluation, motion.clip_of_frame
    labelled = _labelled(motion)
    given = Estimates(
        skeleton=experiment.skeleton,
        keypoints=faulty,
        truth=np.asarray(motion.keypoints),
        visible=labelled,
        index=np.arange(len(found)),
        subject=motion.subject[clip],
        action=motion.action[clip],
        clip=clip,
        box_xywh=boxes_of(motion)[clip],
    )
    estimates = dataclasses.replace(given, keypoints=found)
    scored = score(evaluation.metrics, estimates, evaluation.best)
    before = score(evaluation.metrics, given, evaluation.best).figures
    report = Report(
        metrics=scored.figures,
        boxes="none: keypoints of the dataset",
        flip_test=False,
        decode=experiment.codec.describe(),
        sigmas=None,
        people=len(found),
        unit="frames",
        notes={
            "without the refiner": ", ".join(f"{k} {v:.4g}" for k, v in before.items()),
            "faults": str(evaluation.corruption),
            **scored.notes,
        },
    )
    errors = 100 * estimates.distances / sizes_of(motion)[clip, None]
    unit = "per cent of the person's size"
    return EvalResult(
        report,
        None,
        [
            {
                "subject": str(motion.subject[i]),
                "action": str(motion.action[i]),
                "name": str(motion.name[i]),
                "camera": str(motion.camera[i]),
                "keypoints": found[rows].round(2).tolist(),
            }
            for i, (rows, _) in enumerate(_clips(motion))
        ],
        lambda: {"keypoint_errors": viz.keypoint_errors(errors, experiment.skeleton, unit=unit)},
    )


def _clips(motion: Motion) -> Iterator[tuple[slice, float]]:
    """Rows of each clip and its frames per second."""
    ends = np.cumsum(motion.length)
    for end, length, fps in zip(ends.tolist(), motion.length.tolist(), motion.fps, strict=True):
        yield slice(end - length, end), float(fps)


def _labelled(motion: Motion) -> np.ndarray:
    """True keypoints `[N, K]` bool."""
    return motion.labelled & (np.asarray(motion.confidence) > 0)


def _span(frames: int, ratio: float) -> int:
    """Frames of the data for a window of `frames`, at a rate that is `ratio` times lower."""
    return math.ceil((frames - 1) * ratio - 1e-6) + 1


def _at_random_rate(key: jax.Array, batch: Batch, codec: Any) -> tuple[jax.Array, jax.Array]:
    """Keypoints `[B, T, K, 2]` and labels of windows at random rates, interpolated linearly."""
    fps, (low, high) = batch["fps"], codec.fps
    top = jnp.minimum(fps, high)
    rate = low + (top - low) * jax.random.uniform(key, fps.shape)
    at = jnp.arange(codec.frames, dtype=jnp.float32)[None] * (fps / rate)[:, None]
    last = batch["keypoints"].shape[1] - 1
    before = jnp.clip(at.astype(jnp.int32), 0, last)
    after = jnp.minimum(before + 1, last)
    share = (at - before)[:, :, None, None]
    points, labels = batch["keypoints"], batch["labelled"][..., None].astype(jnp.float32)
    both = jnp.concatenate([points, labels], axis=-1)
    first, second = (values_at(both, i[:, :, None, None], 1) for i in (before, after))
    mixed = (1 - share) * first[..., :2] + share * second[..., :2]
    # On a frame exactly, the next one has no effect.
    known = (first[..., 2] > 0) & ((second[..., 2] > 0) | (share[..., 0] < 1e-4))
    return mixed, known


def _moved(key: jax.Array, points: jax.Array, experiment: "RefiningExperiment") -> jax.Array:
    """Windows `[B, T, K, 2]` about their origin, mirrored and turned at random."""
    mirror_key, turn_key = jax.random.split(key)
    if experiment.mirror:
        chosen = jax.random.bernoulli(mirror_key, 0.5, (points.shape[0], 1, 1, 1))
        mirrored = mirror(points, experiment.skeleton.flip_permutation)
        points = jnp.where(chosen, mirrored, points)
    if experiment.turn:
        largest = math.radians(experiment.turn)
        angle = jax.random.uniform(turn_key, (points.shape[0], 1, 1), minval=-1) * largest
        x, y = points[..., 0], points[..., 1]
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        points = jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    return points
