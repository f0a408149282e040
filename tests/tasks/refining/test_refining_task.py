"""Refiners of tracks through the one training loop: faults, steps, scores, release, prediction."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs.tracks import TrackCodec
from jaxpose.config import from_json, to_json
from jaxpose.data.motion import write_motion
from jaxpose.data.motion_dataset import MotionDataset, SyntheticMotion
from jaxpose.errors import InputError
from jaxpose.hub.load import load_detector, load_lifter, load_pose, load_refiner
from jaxpose.models.track_refiner import pose_mixer, smoothnet
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.refining.corruption import Corruption, corrupted
from jaxpose.tasks.refining.experiment import RefiningEvaluation, RefiningExperiment
from jaxpose.tasks.refining.task import corrupted_clips
from jaxpose.tasks.refining.track_refiner import TrackRefiner
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from tests.videos import write_video

QUIET = Console(quiet=True)
NONE = Corruption((0.0, 0.0), jumps=0, swaps=0, gaps=0, absences=0, short=0)
PAIRS = H36M17.flip_permutation


def experiment(**changes):
    fields = {
        "skeleton": H36M17,
        "model": smoothnet(8, width=16, blocks=1),
        "codec": TrackCodec(8, fps=(10.0, 25.0)),
        "train_data": SyntheticMotion(4, 24),
        "eval_data": SyntheticMotion(3, 20, split="validate"),
        "optimizer": AdamW(warmup_steps=1, schedule="cosine"),
        "evaluation": RefiningEvaluation(every=4),
        "steps": 4,
        "batch_size": 8,
        "checkpoint_every": 100,
        "log_every": 1,
    }
    return RefiningExperiment(**fields | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four steps."""
    directory = tmp_path_factory.mktemp("runs") / "finished"
    return directory, train(experiment(), directory, QUIET)


def test_each_fault_does_what_it_says():
    true = jax.random.normal(jax.random.key(0), (6, 40, 17, 2))
    draw = lambda **kinds: corrupted(  # noqa: E731
        jax.random.key(1), true, PAIRS, dataclasses.replace(NONE, **kinds)
    )
    found, known = draw()
    assert known.all() and np.array_equal(found, true)
    found, known = draw(noise=(0.2, 0.2))
    assert np.std(found - true) == pytest.approx(0.2, rel=0.03) and known.all()
    found, _ = draw(swaps=0.05)
    changed = ~np.isclose(found, true).all(axis=-1)
    mirrored = np.isclose(found, true[:, :, PAIRS]).all(axis=-1)
    assert 0.1 < changed.mean() < 0.5 and mirrored[changed].all()
    # Both sides of a pair are exchanged, and keypoints without a side never.
    assert np.array_equal(changed, changed[..., PAIRS])
    assert not changed[..., np.arange(17) == PAIRS].any()
    found, known = draw(jumps=0.02, jump=1.0, jump_frames=1)
    away = np.linalg.norm(found - true, axis=-1) > 1e-6
    assert away.mean() == pytest.approx(0.02, rel=0.3) and known.all()
    found, _ = draw(jumps=0.02, jump=1.0, jump_frames=5)
    off = np.asarray(found - true)
    # A jump of several frames keeps its distance.
    both = (off[:, 1:] != 0).all(-1) & (off[:, :-1] != 0).all(-1)
    assert (np.abs(off[:, 1:] - off[:, :-1])[both].max(axis=-1) < 1e-5).mean() > 0.8
    found, known = draw(gaps=0.05, gap_frames=3)
    assert 0.05 < 1 - known.mean() < 0.15 and np.array_equal(found, true)
    _, known = draw(absences=0.05, absence_frames=3)
    assert 0.05 < 1 - known.mean() < 0.15
    assert (known == known[..., :1]).all()
    _, known = draw(short=1.0)
    assert (np.diff(known.astype(int), axis=1) <= 0).all() and known[:, 0].all()
    assert not known[:, -1].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jumps": 1.5}, "probability"),
        ({"gap_frames": 0}, "at least 1"),
        ({"noise": (0.2, 0.1)}, "lowest and a highest"),
    ],
)
def test_faults_that_cannot_be_drawn_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Corruption(**change)


def test_windows_without_faults_are_the_datas():
    plain = experiment(codec=TrackCodec(8, fps=(25.0, 25.0))).task().without_augmentation()
    task = plain.task()
    source = task.open("train")
    batch = next(task.batches(source, make_mesh(plain.mesh), 0))
    inputs, targets, weights = jax.jit(task.encode)(jax.random.key(0), batch)
    np.testing.assert_allclose(inputs[..., :2], targets, atol=1e-5)
    assert (inputs[..., 2] == 1).all() and (weights == 1).all()
    codec = plain.codec
    _, place = codec.framed(batch["keypoints"], batch["labelled"])
    pixels = codec.decode(targets, place)
    np.testing.assert_allclose(pixels, batch["keypoints"], atol=0.02)
    shapes = task.abstract_batch(make_mesh(plain.mesh))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), batch) == jax.tree.map(
        lambda a: (a.shape, a.dtype), shapes
    )


@pytest.mark.slow
def test_slow_windows_have_faster_motion():
    """At half of the rate, a window spans twice the frames of the data."""
    run = experiment(codec=TrackCodec(8, fps=(12.5, 12.5))).task().without_augmentation()
    task = run.task()
    source = task.open("train")
    assert source.span == 15
    batch = next(task.batches(source, make_mesh(run.mesh), 0))
    _, targets, _ = jax.jit(task.encode)(jax.random.key(0), batch)
    _, place = run.codec.framed(batch["keypoints"][:, ::2], batch["labelled"][:, ::2])
    found = run.codec.decode(targets, place)
    np.testing.assert_allclose(found, batch["keypoints"][:, ::2], atol=0.02)


def test_clips_slower_than_the_codec_and_other_joints_are_refused():
    run = experiment(codec=TrackCodec(8, fps=(30.0, 60.0)))
    with pytest.raises(InputError, match=r"4 of 4 clips have less than codec.fps\[0\] = 30"):
        run.task().open("train")
    with pytest.raises(InputError, match="skeleton 'h36m17'"):
        experiment(skeleton=COCO17).task().open("train")
    with pytest.raises(InputError, match=r"must be codec\.frames, 8"):
        experiment(model=smoothnet(9))
    with pytest.raises(InputError, match="must be 17"):
        experiment(model=pose_mixer(15, 8))


@pytest.mark.parametrize(
    "model",
    [
        smoothnet(8, width=16, blocks=1),
        pytest.param(pose_mixer(17, 8, width=16, blocks=1), marks=pytest.mark.slow),
    ],
)
def test_a_fresh_model_returns_its_input_and_learns(model):
    run = experiment(model=model)
    run.task().check()
    assert from_json(to_json(run)) == run
    inputs = jax.random.normal(jax.random.key(0), (2, 8, 17, 3))
    targets, weights = inputs[..., 1:], jnp.ones(inputs.shape[:3])
    variables = jax.jit(model.init)(jax.random.key(1), inputs)

    @jax.jit
    def step(variables):
        outputs = model.apply(variables, inputs)
        return run.loss(outputs, targets, weights), outputs

    _, outputs = step(variables)
    np.testing.assert_allclose(outputs, inputs[..., :2], atol=1e-6)
    moved = jax.tree.map(lambda a: a + 0.01, variables)
    slope, _ = jax.jit(jax.grad(step, has_aux=True))(moved)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert jnp.abs(leaf).max() > 0, path


def test_the_run_is_scored_released_and_used(finished, tmp_path):
    directory, whole = finished
    assert whole.recompilations == 0 and whole.report.people == 60
    run = CliRunner()
    assert run.invoke(app, ["eval", str(directory)]).exit_code == 0
    report = json.loads((directory / "eval/report.json").read_text())
    assert report["metrics"] == pytest.approx(dict(whole.report.metrics), abs=1e-4)
    assert report["unit"] == "frames" and "track error" in report["notes"]["without the refiner"]

    out = tmp_path / "release"
    assert run.invoke(app, ["convert", str(directory), str(out)]).exit_code == 0
    assert "--smooth THIS_FOLDER" in (out / "README.md").read_text()
    trained = load_refiner(out)
    with pytest.raises(InputError, match="a refiner of tracks"):
        load_pose(out)
    with pytest.raises(InputError, match=r"a refiner of tracks.*--smooth.*A lifter is one of"):
        load_lifter(out)
    with pytest.raises(InputError, match="with --smooth if it is a refiner"):
        load_detector(out)
    with pytest.raises(InputError, match="a model for keypoints in images"):
        load_refiner("jaxpose-small")
    motion = experiment().eval_data.open()
    faulty, known = corrupted_clips(motion, experiment().evaluation.corruption)
    first = np.where(known[:20, :, None], faulty[:20], np.nan)
    predicted = json.loads((directory / "eval/predictions.json").read_text())
    np.testing.assert_allclose(
        trained.predictor()(first, fps=25), predicted[0]["keypoints"], atol=0.02
    )
    data = tmp_path / "motion.npz"
    write_motion(data, motion)
    options = ["--data", str(data), "--split", "validate", "--out", str(tmp_path / "scored")]
    scored = run.invoke(app, ["eval", str(out), *options])
    assert scored.exit_code == 0, scored.output
    again = json.loads((tmp_path / "scored/report.json").read_text())
    assert again["metrics"] == pytest.approx(report["metrics"], abs=1e-4)
    refused = run.invoke(app, ["eval", str(out)])
    assert refused.exit_code == 2
    program = trained.estimator.program(trained.variables).fixed(2)
    windows = np.ones((2, 8, 17, 3), np.float32)
    assert jax.jit(program.ordered)(windows)[0].shape == (2, 8, 17, 2)
    with pytest.raises(InputError, match="not images"):
        trained.estimator.program(trained.variables, level="photo")


def test_motion_in_the_world_needs_cameras(tmp_path):
    motion = SyntheticMotion(1, 12).open()
    world = dataclasses.replace(motion, frame="world", keypoints=None, confidence=None)
    write_motion(tmp_path / "world.npz", world)
    with pytest.raises(InputError, match="needs a camera rig"):
        experiment(train_data=MotionDataset(str(tmp_path / "world.npz"))).task().open("train")


@pytest.mark.slow
def test_predict_smooths_by_a_run(finished, tmp_path, monkeypatch):
    directory, _ = finished
    refine = TrackRefiner.__call__
    # Few steps of training may change less than what is written.
    monkeypatch.setattr(TrackRefiner, "__call__", lambda *a, **options: refine(*a, **options) + 5)
    video = write_video(tmp_path / "a.mp4", 12)
    # No person is in the video, so the scores are low.
    options = ["--from", "jaxpose-small", "--boxes", "full", "--no-draw", "--min-score", "0"]
    found = {}
    for name in ("none", str(directory)):
        out = tmp_path / f"out{len(found)}"
        result = CliRunner().invoke(
            app, ["predict", str(video), *options, "--smooth", name, "--out", str(out)]
        )
        assert result.exit_code == 0, result.output
        content = json.loads((out / "predictions.json").read_text())
        assert content["smooth"] == name and len(content["frames"]) == 12
        found[name] = [f["people"][0]["keypoints"] for f in content["frames"]]
    plain, smooth = found.values()
    moved = [b["nose"]["x"] - a["nose"]["x"] for a, b in zip(plain, smooth, strict=True)]
    assert np.allclose(moved, 5, atol=1)
    assert [k["nose"]["score"] for k in plain] == [k["nose"]["score"] for k in smooth]
