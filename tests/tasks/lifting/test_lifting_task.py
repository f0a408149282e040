"""Lifters through the one training loop: data on the device, statistics, windows, scores."""

import dataclasses
import functools
import json
import signal
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_clips import DEPTH, K, clip
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.data.motion import motion_of, read_motion, write_motion
from jaxpose.data.motion_dataset import CameraSet, MotionDataset
from jaxpose.errors import InputError
from jaxpose.hub.load import load_lifter, load_pose
from jaxpose.losses import MPJPE, SemiSupervised
from jaxpose.metrics import EPE
from jaxpose.metrics.report import Report
from jaxpose.models import init_variables, martinez, motionbert
from jaxpose.models.build import abstract_variables
from jaxpose.models.lifting.lifter import (
    CoordinateHead,
    Lifter,
    PoseAndTrajectory,
    pose_part,
)
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.skeletons import H36M17, HUMANEVA15
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.tasks.lifting.score import lift_all, report
from jaxpose.tasks.lifting.task import LiftingTask
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from jaxpose.train.parameter_groups import parameter_groups
from jaxpose.train.run_dir import load_run
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("motion") / "motion.npz"
    clips = [
        clip(40, 0),
        clip(4, 1, subject="S2"),
        clip(20, 2, split="validate"),
        clip(12, 3, split="validate", subject="S2", action="Jog"),
    ]
    write_motion(file, motion_of(HUMANEVA15, clips))
    return str(file)


def experiment_on(path, **changes):
    fields = {
        "skeleton": HUMANEVA15,
        "model": martinez(K, K, channels=16, dropout=0.1),
        "codec": LiftingCodec(K),
        "loss": MPJPE(),
        "train_data": MotionDataset(path, split=("train",)),
        "eval_data": MotionDataset(path, split=("validate",)),
        "optimizer": AdamW(warmup_steps=1, schedule="cosine"),
        "evaluation": LiftingEvaluation(every=4, batch_size=16),
        "steps": 4,
        "batch_size": 8,
        "ema_decay": 0.9,
        "checkpoint_every": 100,
        "log_every": 1,
    }
    return LiftingExperiment(**fields | changes)


@pytest.fixture(scope="module")
def finished(path, tmp_path_factory):
    """A run of four steps."""
    directory = tmp_path_factory.mktemp("runs") / "finished"
    return directory, train(experiment_on(path), directory, QUIET)


def test_a_run_stopped_and_resumed_ends_bit_identical(path, finished, tmp_path, monkeypatch):
    directory, whole = finished
    assert whole.recompilations == 0 and whole.report.people == 32
    batches = LiftingTask.batches

    def interrupted(self, source, mesh, start, on_loaded=lambda samples: None):
        for i, batch in enumerate(batches(self, source, mesh, start, on_loaded)):
            if start + i == 2:
                signal.raise_signal(signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(LiftingTask, "batches", interrupted)
        cut = train(experiment_on(path), tmp_path, QUIET)
    assert cut.stopped_by == signal.SIGTERM and 2 <= cut.step < 4
    rest = train(experiment_on(path), tmp_path, QUIET)
    assert rest.step == 4 and rest.report == whole.report
    ends = [load_run(d, "last").variables for d in (directory, tmp_path)]
    assert jax.tree.all(jax.tree.map(np.array_equal, *ends))


def test_the_run_keeps_the_statistics_of_its_training_set(path, finished):
    directory, _ = finished
    codec = load_run(directory).experiment.codec
    motion = read_motion(Path(path)).select(split=("train",))
    screen = (2 * motion.keypoints - motion.image_wh[:1, None]) / 640
    wanted = Statistics.of(screen)
    np.testing.assert_allclose(codec.input_statistics.mean, wanted.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(codec.input_statistics.std, wanted.std, rtol=1e-4)
    assert codec.fps == 50
    relative = (motion.joints_mm - motion.joints_mm[:, :1]) / 1000
    np.testing.assert_allclose(codec.target_statistics.std, Statistics.of(relative).std, rtol=1e-4)


def test_eval_repeats_the_table_of_training_and_a_release_the_lifter(path, finished, tmp_path):
    directory, whole = finished
    result = CliRunner().invoke(app, ["eval", str(directory)])
    assert result.exit_code == 0, result.output
    assert "P-MPJPE" in result.output and "Jog" in result.output and "32 poses" in result.output
    again = Report.from_json((directory / "eval" / "report.json").read_text())
    assert again == whole.report
    assert set(again.by_action["MPJPE"]) == {"S1", "S2"}
    rows = json.loads((directory / "eval" / "predictions.json").read_text())
    assert [np.shape(row["joints_mm"]) for row in rows] == [(20, K, 3), (12, K, 3)]

    out = tmp_path / "release"
    result = CliRunner().invoke(app, ["convert", str(directory), str(out)])
    assert result.exit_code == 0, result.output
    options = ["--data", path, "--split", "validate", "--out", str(tmp_path / "scored")]
    result = CliRunner().invoke(app, ["eval", str(out), *options])
    assert result.exit_code == 0, result.output
    alone = Report.from_json((tmp_path / "scored" / "report.json").read_text())
    assert alone.metrics == pytest.approx(whole.report.metrics, rel=1e-5)
    run, release = load_lifter(directory), load_lifter(out)
    assert release.codec == run.codec and release.codec.input_statistics is not None
    assert (release.model, release.skeleton) == (run.model, HUMANEVA15)
    assert jax.tree.all(jax.tree.map(np.array_equal, release.variables, run.variables))
    assert "--lift THIS_FOLDER" in (out / "README.md").read_text()
    with pytest.raises(InputError, match="a lifter, which takes keypoints"):
        load_pose(out, "best")


class Seen(nn.Module):
    """No network: a frame's input as it is."""

    frames: int = 1
    num_keypoints: int = K
    in_features: int = 2

    def __call__(self, keypoints, train=False):
        return keypoints.reshape(*keypoints.shape[:2], -1)


def flat_experiment(path, **changes):
    """Everybody at one depth, so that a linear lifter on the image plane is all there is to it."""
    return experiment_on(
        path,
        model=Lifter(Seen(), CoordinateHead(K)),
        codec=LiftingCodec(K, frame="image plane"),
        standardise="none",
        train_data=MotionDataset(path),
        eval_data=MotionDataset(path),
        **changes,
    )


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    file = tmp_path_factory.mktemp("flat") / "motion.npz"
    clips = [clip(20, 0, flat=True), clip(9, 1, flat=True, subject="S2", action="Box")]
    write_motion(file, motion_of(HUMANEVA15, clips))
    return str(file)


def perfect():
    """The head that takes each joint's rays to metres about the root."""
    rows = np.eye(K) - np.eye(K)[:, :1] @ np.ones((1, K))
    kernel = np.zeros((K, 2, K, 3), np.float32)
    kernel[:, 0, :, 0] = kernel[:, 1, :, 1] = rows * DEPTH / 1000
    joints = {"kernel": kernel.reshape(2 * K, 3 * K), "bias": np.zeros(3 * K, np.float32)}
    return {"params": {"head": {"joints": joints}}, "batch_stats": {}}


@pytest.mark.slow
def test_a_perfect_lifter_scores_0_and_loses_nothing(flat):
    experiment = flat_experiment(flat)
    task, mesh = LiftingTask(experiment), make_mesh(experiment.mesh)
    source = task.open("eval")
    scored = task.evaluator(source, mesh, True)(perfect())
    # A hundredth of a mm: float32 at four metres, through the undistortion.
    assert scored.report.metrics["MPJPE"] < 0.01 and scored.report.metrics["P-MPJPE"] < 0.01
    assert set(scored.report.by_action["MPJPE"]["S2"]) == {"Box"}
    batch = next(task.batches(source, mesh, 0))
    inputs, targets, weights = jax.jit(task.encode)(jax.random.key(0), batch)
    assert inputs.shape == (8, 1, K, 2) and weights.shape == (8, 1, K)
    outputs = experiment.model.apply(perfect(), inputs)
    assert float(MPJPE()(outputs, targets, weights)) < 1e-5


def test_the_flip_test_averages_with_the_mirror_image(flat):
    experiment = flat_experiment(flat)
    task, mesh = LiftingTask(experiment), make_mesh(experiment.mesh)
    source = task.open("eval")
    biased = perfect()
    # 30 mm to the right of where they are, the root too, whatever is seen: a mirror undoes it.
    biased["params"]["head"]["joints"]["bias"].reshape(K, 3)[:, 0] += 0.03
    means = [task.evaluator(source, mesh, f)(biased).report.metrics["MPJPE"] for f in (False, True)]
    np.testing.assert_allclose(means, [30, 0], atol=0.01)


@pytest.mark.parametrize(
    ("model", "confidence", "answered"),
    [
        (Lifter(TemporalConvolutions(K, 2, (3, 3), 8), CoordinateHead(K)), False, 1),
        (motionbert(9, K, dim=8, depth=1), True, 9),
    ],
    ids=["one frame", "all frames"],
)
def test_a_window_longer_than_its_clip_repeats_frames_that_weigh_nothing(
    path, model, confidence, answered
):
    short = MotionDataset(path, split=("train",), subject=("S2",))
    experiment = experiment_on(
        path,
        model=model,
        codec=LiftingCodec(K, confidence=confidence),
        standardise="none",
        mirror=False,
        train_data=short,
    )
    task = LiftingTask(experiment)
    source = task.open("train")
    assert len(source) == (4 if answered == 1 else 1)
    batch = next(task.batches(source, make_mesh(experiment.mesh), 0))
    inputs, _, weights = jax.jit(task.encode)(jax.random.key(0), batch)
    assert inputs.shape == (8, 9, K, 2 + confidence)
    known = np.asarray(weights[..., 0]).tolist()
    assert known == [[1.0]] * 8 if answered == 1 else known == [[1.0] * 4 + [0.0] * 5] * 8
    ends = np.asarray(inputs[:, -1]), np.asarray(inputs[:, -2 if answered == 1 else 4])
    if answered == 9:
        np.testing.assert_array_equal(*ends)


def test_missing_joints_and_keypoints_do_not_poison_loss_or_score(tmp_path):
    gaps = clip(6, 0)
    gaps.joints_mm[:, 3] = np.nan
    gaps.joints_mm[2, 0] = np.nan  # the root: nothing of this frame is known
    gaps.keypoints[1, 5] = np.nan
    lost = clip(3, 1, subject="S2")
    lost.joints_mm[:, 0] = np.nan
    file = tmp_path / "motion.npz"
    write_motion(file, motion_of(HUMANEVA15, [gaps, lost]))
    everything = MotionDataset(str(file))
    whole = experiment_on(str(file), train_data=everything, eval_data=everything)
    with pytest.raises(InputError, match="Joint 3 is labelled in none"):
        LiftingTask(whole).fit_to_data(LiftingTask(whole).open("train"))
    experiment = dataclasses.replace(whole, standardise="none", mirror=False)
    task, mesh = LiftingTask(experiment), make_mesh(experiment.mesh)
    source = task.open("train")
    _, targets, weights = jax.jit(task.encode)(
        jax.random.key(0), next(task.batches(source, mesh, 0))
    )
    assert np.isfinite(targets).all() and (np.asarray(weights)[..., 3] == 0).all()

    def loss(outputs):
        return MPJPE()(outputs, targets, weights)

    value, slope = jax.value_and_grad(loss)(jnp.zeros_like(targets))
    assert np.isfinite(value) and np.isfinite(slope).all()
    assert not np.asarray(slope)[..., 3, :].any() and np.asarray(slope).any()

    def right(indices):
        frames = jnp.clip(jnp.asarray(indices)[:, None], 0, len(source) - 1)
        return jnp.take(jnp.asarray(truth), frames, axis=0), frames

    motion = source.motion
    truth = motion.joints_mm - motion.joints_mm[:, :1]
    lifted = lift_all(right, motion, len(source), experiment, lambda samples: None)
    scored = report(lifted, experiment, False)
    assert scored.metrics["MPJPE"] == 0
    assert scored.by_action["MPJPE"] == {"S1": {"Walking": 0.0}, "S2": {"Walking": -1.0}}


def small(outputs):
    return Lifter(TemporalConvolutions(K, 2, (3,), 4), CoordinateHead(outputs))


def semi_supervised(path, **changes):
    return experiment_on(
        path,
        model=PoseAndTrajectory(small(K), small(1)),
        codec=LiftingCodec(K, frame="image plane"),
        standardise="inputs",
        loss=SemiSupervised(HUMANEVA15.limb_indices),
        train_data=MotionDataset(path, split=("train",), unlabelled=("S2",)),
        **changes,
    )


@pytest.mark.slow
def test_people_without_labels_are_trained_on_by_what_they_look_like(path, tmp_path):
    experiment = semi_supervised(path, mirror=False)
    task = LiftingTask(experiment)
    source = task.open("train")
    assert not source.motion.labelled[40:].any() and source.motion.labelled[:40].all()
    with pytest.raises(InputError, match="no clip of S7"):
        dataclasses.replace(experiment.train_data, unlabelled=("S7",)).open()
    batch = next(task.batches(source, make_mesh(experiment.mesh), 0))
    inputs, targets, weights = jax.jit(task.encode)(jax.random.key(0), batch)
    free = np.asarray(weights.rays[..., 0])
    assert 0 < free.sum() < 8 and (free + np.asarray(weights.pose[..., 0]) == 1).all()
    # What is asked of pose and root is what was seen.
    joints = targets.pose + targets.root
    rays = joints[..., :2] / joints[..., 2:]
    known = np.asarray(weights.root)[..., None] > 0
    assert np.abs(np.where(known, rays - targets.rays, 0)).max() < 1e-5

    def loss(pose, root):
        return experiment.loss((pose, root), targets, weights)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(targets.pose + 0.01, targets.root + 0.01)
    assert all(np.isfinite(g).all() and (np.abs(g).sum((1, 2, 3)) > 0).all() for g in gradients)

    fitted = task.fit_to_data(source)
    tx = fitted.optimizer.build(fitted.steps, fitted.model)
    state = jax.eval_shape(
        lambda key: new_state(fitted, init_variables(fitted.model, key, None), tx),
        jax.random.key(0),
    )
    step = functools.partial(train_step, experiment=fitted, tx=tx)
    after, scalars = jax.eval_shape(step, state, batch, jax.random.key(0))
    assert scalars["loss"].shape == ()
    lifter, variables = pose_part(fitted.model, after.variables())
    assert lifter == small(K) and set(variables["params"]) == {"backbone", "head"}
    assert jax.eval_shape(lifter.apply, variables, inputs).shape == (8, 1, K, 3)
    with pytest.raises(InputError, match=r"codec\.frame 'image plane'"):
        dataclasses.replace(experiment, codec=LiftingCodec(K))


def test_a_camera_that_is_not_known_is_named(tmp_path):
    file = tmp_path / "motion.npz"
    write_motion(file, motion_of(HUMANEVA15, [clip(3, 0), clip(3, 1, view=None)]))
    with pytest.raises(InputError, match="clip 1"):
        LiftingTask(flat_experiment(str(file))).open("eval")
    LiftingTask(experiment_on(str(file), eval_data=MotionDataset(str(file)))).open("eval")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skeleton": H36M17}, "must be 17"),
        ({"codec": LiftingCodec(K, confidence=True)}, "in_features is 2, but must be 3"),
        ({"codec": LiftingCodec(K, drop_root=True)}, "must be 14"),
        ({"codec": LiftingCodec(K, frame="pixels")}, "not on 'pixels'"),
        ({"evaluation": LiftingEvaluation(metrics=(EPE(),))}, "EPE measures 2D keypoints"),
    ],
)
def test_parts_that_do_not_fit_are_named(path, changes, message):
    with pytest.raises(InputError, match=message):
        experiment_on(path, **changes)


def test_data_that_does_not_fit_is_named(path, tmp_path):
    rig = CameraSet("cameras.json", ("S1",))
    with pytest.raises(InputError, match="must not have one"):
        LiftingTask(experiment_on(path, train_data=MotionDataset(path, rig=rig))).open("train")
    other = experiment_on(
        path, skeleton=H36M17, model=martinez(17, 17, channels=8), codec=LiftingCodec(17)
    )
    with pytest.raises(InputError, match="skeleton 'humaneva15'"):
        LiftingTask(other).open("train")
    some = Lifter(TemporalConvolutions(K, 2, (3, 1), 8), CoordinateHead(K))
    LiftingTask(experiment_on(path, model=some)).check()
    with pytest.raises(InputError, match="No clip has split 'val'"):
        LiftingTask(experiment_on(path)).open_dataset(path, "val")


def test_only_matrices_of_a_stacked_lifter_decay():
    model = motionbert(9, K, dim=8, depth=2)
    params = abstract_variables(model, None)["params"]
    mask = parameter_groups(model).weight_decay_mask(params)["backbone"]
    assert not mask["joint_position"] and not mask["frame_position"]
    block = mask["layers"]["st_time"]
    assert not block["norm1"]["scale"] and not block["mlp"]["fc1"]["bias"]
    assert block["mlp"]["fc1"]["kernel"] and block["attention"]["qkv"]["kernel"]
