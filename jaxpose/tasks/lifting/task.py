"""Task of lifting: from keypoints of a window of frames to 3D joints.

The whole dataset is on the device; a batch is a gather of windows by index.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.lifting import Statistics, root_place
from jaxpose.codecs.sample import Sample
from jaxpose.data.motion import Motion
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.data.virtual_cameras import before_each_camera, before_random_cameras, upright
from jaxpose.data.windows import (
    Windows,
    covering,
    every_frame,
    frame_indices,
    indices_ahead,
    random_mirror,
    take_frames,
)
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras, stack
from jaxpose.losses import TrajectoryTargets
from jaxpose.metrics.metric import check_metrics
from jaxpose.metrics.trial import made_up, try_metrics
from jaxpose.models.lifting.lifter import PoseAndTrajectory, pose_part
from jaxpose.tasks.lifting.estimator import LiftingEstimator
from jaxpose.tasks.lifting.score import COLUMNS, error_images, lift_all, report
from jaxpose.tasks.lifting.windows import WindowSpec, lift, window_spec
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.train.mesh import batch_sharded, replicated

if TYPE_CHECKING:
    from jaxpose.tasks.lifting.experiment import LiftingExperiment

_SAMPLE = 20_000  # number of frames for the statistics of random views

Batch = dict[str, Any]


@dataclass(frozen=True)
class MotionSource:
    """Clips in memory, and the cameras that training draws from (None: those of the clips)."""

    motion: Motion
    windows: Windows
    cameras: Camera | None
    digest: str

    def __len__(self) -> int:
        return len(self.windows.at)

    def fingerprint(self) -> str:
        """Digest that identifies the content."""
        return self.digest


@dataclass(frozen=True)
class LiftingTask:
    """Task of lifting 2D keypoints to 3D joints; see `task.Task`."""

    experiment: "LiftingExperiment"
    unit: ClassVar[str] = "windows"

    def check(self) -> None:
        """Raise InputError if the model predicts neither one frame nor all frames of its window."""
        window_spec(self.experiment.lifter)

    def open(self, role: Literal["train", "eval"]) -> MotionSource:
        experiment = self.experiment
        data = experiment.train_data if role == "train" else experiment.eval_data
        return self._source(data, role)

    def open_dataset(self, data: str, split: str) -> MotionSource:
        clips = dataclasses.replace(self.experiment.eval_data, path=data, split=(split,))
        return self._source(clips, "eval")

    def _source(self, data: MotionDataset, role: str) -> MotionSource:
        motion, skeleton = data.open(), self.experiment.skeleton
        if motion.skeleton.keypoints != skeleton.keypoints:
            raise InputError(
                f"{data.path} has the joints of skeleton {motion.skeleton.name!r}, but the "
                f"experiment's skeleton is {skeleton.name!r}."
            )
        data.check_rig(motion)
        cameras = None
        if data.rig is not None:
            rig = data.rig
            views = rig.open()
            if role == "train":
                each = [view.take(i) for view in views.values() for i in range(len(view.t))]
                cameras = stack(each)
                joints = upright(motion.joints_mm, motion.up)
                motion = dataclasses.replace(motion, joints_mm=joints, up="z")
            else:
                motion = before_each_camera(motion, views, rig.image_wh, rig.area_mm)
        if self.experiment.codec.frame == "image plane" and cameras is None:
            check_cameras(motion.cameras, tuple(motion.name.tolist()))
        windows = _windows(
            window_spec(self.experiment.lifter), motion.length, every=role == "train"
        )
        return MotionSource(motion, windows, cameras, data.fingerprint())

    def fit_to_data(self, source: MotionSource) -> "LiftingExperiment":
        """Return the experiment with the statistics of the training set in its codec."""
        experiment = self.experiment
        codec = experiment.codec
        if experiment.standardise == "none" or codec.input_statistics is not None:
            return experiment
        rows = np.random.default_rng(0).permutation(len(source.motion.joints_mm))[:_SAMPLE]
        alone = Windows(*(rows.astype(np.int32),) * 3)
        batch = _gather(_on_device(source, None), alone, np.arange(len(rows)), 0, 0)
        framed, joints, labelled, _ = _views(experiment, jax.random.key(0), batch)
        plain = dataclasses.replace(codec, target_statistics=None)
        targets, weights = plain.encode(Sample(labelled, keypoints_3d=joints))
        inputs = _statistics(framed[..., :2], labelled)
        kept = _statistics(targets, weights) if experiment.standardise == "both" else None
        rates = set(source.motion.fps.tolist()) - {0.0}
        codec = dataclasses.replace(
            codec,
            input_statistics=inputs,
            target_statistics=kept,
            fps=rates.pop() if len(rates) == 1 else None,
        )
        return dataclasses.replace(experiment, codec=codec)

    def batches(
        self,
        source: MotionSource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[Batch]:
        """Windows of the global batch of each step, gathered on the device."""
        experiment = self.experiment
        arrays = _on_device(source, replicated(mesh))
        windows = jax.device_put(source.windows, replicated(mesh))
        on_loaded(len(source))
        before, after, _ = window_spec(experiment.lifter)
        sharding = batch_sharded(mesh)

        @functools.partial(jax.jit, static_argnames="rows")
        def take(arrays: Batch, windows: Windows, ahead: jax.Array, i: jax.Array, rows: int):
            batch = _gather(arrays, windows, ahead[i], before, after)
            cameras = batch.pop("rig", None)
            batch = jax.lax.with_sharding_constraint(batch, sharding)
            return batch if cameras is None else batch | {"rig": cameras}

        size, everywhere = experiment.batch_size, replicated(mesh)
        for ahead, row in indices_ahead(experiment.seed, start_step, size, len(source), everywhere):
            yield take(arrays, windows, ahead, row, rows=len(source))

    def encode(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, Any, Any]:
        """Inputs `[B, T, K, D]`, targets `[B, T_out, K_out, 3]`, weights `[B, T_out, K_out]`.

        For a model with a trajectory, targets and weights are `losses.TrajectoryTargets`; there,
        poses without labels are weighted by the confidence of their keypoints.

        `batch`: joints `[B, T, K, 3]` mm and labelled, inside `[B, T, K]`, `[B, T]`; keypoints
        `[B, T, K, 2]`, confidence, image_wh `[B, 2]` and camera `[B]`, or a rig `[V]` to draw from.
        """
        experiment, codec = self.experiment, self.experiment.codec
        view_key, mirror_key = jax.random.split(key)
        views = _views(experiment, view_key, batch)
        if experiment.mirror:
            views = random_mirror(mirror_key, experiment.skeleton.flip_permutation, *views)
        framed, joints, labelled, confidence = views
        predicted_frames = window_spec(experiment.lifter).predicted
        targets, weights = codec.encode(
            Sample(labelled[:, predicted_frames], keypoints_3d=joints[:, predicted_frames])
        )
        inside = batch["inside"][:, predicted_frames, None].astype(jnp.float32)
        weights = weights * inside
        inputs = codec.standardised(framed)
        if not isinstance(experiment.model, PoseAndTrajectory):
            return inputs, targets, weights
        root = list(codec.root)
        place = root_place(joints[:, predicted_frames], root) / 1000.0
        placed = weights[..., root].min(axis=-1, keepdims=True)
        free = inside * (1.0 - weights.max(axis=-1, keepdims=True))
        aims = TrajectoryTargets(targets, place, framed[:, predicted_frames, :, :2])
        return (
            inputs,
            aims,
            TrajectoryTargets(weights, placed, free * confidence[:, predicted_frames]),
        )

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> Batch:
        """Shapes of a training batch; a rig is assumed to have four cameras for each subject."""
        experiment = self.experiment
        count, points, rig = 1, experiment.skeleton.num_keypoints, experiment.train_data.rig

        def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(sizes, dtype)

        def cameras(number: int) -> Camera:
            return Camera(
                shape(number, 3, 3), shape(number, 3, 3), shape(number, 3), shape(number, 5)
            )

        joints = shape(count, points, 3)
        arrays: Batch = {"joints": joints, "labelled": shape(count, points, dtype=bool)}
        if rig is not None:
            arrays["rig"] = cameras(4 * len(rig.subjects))
        else:
            arrays |= {
                "keypoints": shape(count, points, 2),
                "confidence": shape(count, points),
                "clip": shape(count, dtype=jnp.int32),
                "image_wh": shape(count, 2, dtype=jnp.int32),
                "camera": cameras(count),
            }
        before, after, _ = window_spec(experiment.lifter)
        index: Any = shape(count, dtype=jnp.int32)
        batch = jax.eval_shape(
            lambda arrays, windows, i: _gather(arrays, windows, i, before, after),
            *(arrays, Windows(index, index, index), shape(experiment.batch_size, dtype=jnp.int32)),
        )

        def placed(sharding: jax.sharding.Sharding) -> Callable[[Any], Any]:
            return lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

        return {
            name: jax.tree.map(
                placed(replicated(mesh) if name == "rig" else batch_sharded(mesh)), x
            )
            for name, x in batch.items()
        }

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def without_augmentation(self) -> "LiftingExperiment":
        return dataclasses.replace(self.experiment, mirror=False)

    def sample_names(self, source: MotionSource, indices: np.ndarray) -> list[str]:
        return [f"window {index}" for index in indices]

    def estimator(self, variables: Variables) -> tuple[LiftingEstimator, Variables]:
        """Return the lifter of poses without the trajectory, which only training needs."""
        experiment = self.experiment
        model, variables = pose_part(experiment.model, variables)
        return LiftingEstimator(model, experiment.codec, experiment.skeleton), variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose lift KEYPOINTS.json out.bvh --from {workdir}"

    def evaluator(
        self, source: MotionSource, mesh: jax.sharding.Mesh, flip_test: bool
    ) -> Evaluator:
        experiment = self.experiment
        metrics, skeleton = experiment.evaluation.metrics, experiment.skeleton
        check_metrics(metrics, skeleton, dimensions=3, columns=COLUMNS)
        try_metrics(metrics, made_up(skeleton, 3, COLUMNS))
        whole = replicated(mesh)
        arrays = _on_device(source, whole)
        windows = jax.device_put(source.windows, whole)
        before, after, predicted_frames = window_spec(experiment.lifter)

        @functools.partial(jax.jit, out_shardings=whole)
        def estimate(variables: Any, arrays: Batch, windows: Windows, indices: jax.Array) -> Any:
            batch = _gather(arrays, windows, indices, before, after)
            batch = jax.lax.with_sharding_constraint(batch, batch_sharded(mesh))
            framed, *_ = _views(experiment, jax.random.key(0), batch)
            lifter, of_lifter = pose_part(experiment.model, variables)
            joints = lift(
                of_lifter,
                framed,
                model=lifter,
                codec=experiment.codec,
                permutation=experiment.skeleton.flip_permutation,
                flip_test=flip_test,
            )
            return joints, batch["frames"][:, predicted_frames]

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            estimates = lift_all(
                lambda indices: estimate(variables, arrays, windows, indices),
                source.motion,
                len(source),
                experiment,
                on_batch,
            )
            return EvalResult(
                report(estimates, experiment, flip_test),
                None,
                _clips_as_json(estimates.keypoints, source.motion),
                lambda: error_images(estimates),
            )

        return scored


def _windows(seen: WindowSpec, lengths: np.ndarray, every: bool) -> Windows:
    """One window for each frame; overlapping windows if the model predicts all frames of one."""
    frames = seen.before + 1 + seen.after
    if seen.predicted.stop - seen.predicted.start == 1:
        return every_frame(lengths)
    return covering(lengths, frames, 1 if every else max(frames // 3, 1))


def _on_device(source: MotionSource, sharding: jax.sharding.Sharding | None) -> Batch:
    """Put the frames and the values per clip on the device; a rig replaces the keypoints."""
    motion = source.motion
    arrays: Batch = {"joints": motion.joints_mm, "labelled": motion.labelled}
    if source.cameras is not None:
        arrays["rig"] = Camera(*(np.asarray(field, np.float32) for field in source.cameras))
    else:
        arrays |= {
            "keypoints": motion.keypoints,
            "confidence": motion.confidence,
            "clip": motion.clip_of_frame,
            "image_wh": motion.image_wh,
            "camera": Camera(*(np.asarray(field, np.float32) for field in motion.cameras)),
        }
    return jax.device_put(arrays, sharding)


def _gather(arrays: Batch, windows: Windows, indices: Any, before: int, after: int) -> Batch:
    """Gather the windows `indices [B]` of the dataset; see `LiftingTask.encode`."""
    frames, inside = frame_indices(windows, indices, before, after)
    batch: Batch = {
        name: take_frames(arrays[name], frames)
        for name in ("joints", "labelled", "keypoints", "confidence")
        if name in arrays
    }
    batch |= {"frames": frames, "inside": inside}
    if "rig" in arrays:
        return batch | {"rig": arrays["rig"]}
    clip = jnp.take(arrays["clip"], frames[:, 0])
    return batch | {
        "image_wh": jnp.take(arrays["image_wh"], clip, axis=0),
        "camera": jax.tree.map(lambda field: jnp.take(field, clip, axis=0), arrays["camera"]),
    }


def _views(experiment: "LiftingExperiment", key: jax.Array, batch: Batch) -> tuple[jax.Array, ...]:
    """Framed keypoints `[B, T, K, D]`, joints `[B, T, K, 3]` mm, labels, keypoints' confidence.

    Joints are in the frame of the camera of their window.
    """
    codec, joints, labelled = experiment.codec, batch["joints"], batch["labelled"]
    if "rig" in batch:
        rig = experiment.train_data.rig
        assert rig is not None  # source of the batch's cameras
        joints, pixels, camera = before_random_cameras(key, joints, batch["rig"], rig.area_mm)
        image_wh = jnp.broadcast_to(jnp.asarray(rig.image_wh)[None], (joints.shape[0], 2))
        confidence = labelled.astype(jnp.float32)
    else:
        pixels, confidence = batch["keypoints"], batch["confidence"]
        image_wh, camera = batch["image_wh"], batch["camera"]
    framed = codec.framed(
        pixels,
        image_wh=image_wh[:, None],
        camera=jax.tree.map(lambda field: field[:, None], camera),
        confidence=confidence,
    )
    return framed, joints, labelled.astype(jnp.float32), confidence


def _statistics(values: jax.Array, weights: jax.Array) -> Statistics:
    """Statistics of `[N, 1, K, D]`, rounded to six digits the same on all machines."""
    exact = Statistics.of(np.asarray(values[:, 0]), np.asarray(weights[:, 0]))

    def rounded(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(float(f"{x:.6g}") for x in row) for row in rows)

    return Statistics(rounded(exact.mean), rounded(exact.std))


def _clips_as_json(predicted: np.ndarray, motion: Motion) -> list[dict[str, Any]]:
    """Convert joints in mm about the root to JSON types, one entry per clip."""
    ends = np.cumsum(motion.length)
    return [
        {
            "subject": str(motion.subject[i]),
            "action": str(motion.action[i]),
            "name": str(motion.name[i]),
            "camera": str(motion.camera[i]),
            "joints_mm": predicted[end - motion.length[i] : end].round(1).tolist(),
        }
        for i, end in enumerate(ends)
    ]
