"""Classifiers of actions through the one training loop: data, resume, scores, release, export."""

import dataclasses
import json
import signal

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs.clips import ClipCodec
from jaxpose.codecs.heatmap_volume import VolumeCodec
from jaxpose.config import from_json, to_json
from jaxpose.data.action_clips import ActionClip, actions_of, write_actions
from jaxpose.data.action_dataset import ActionDataset, SyntheticActions
from jaxpose.errors import InputError
from jaxpose.hub.load import load_action_model, load_lifter, load_pose
from jaxpose.losses import CrossEntropy, cross_entropy
from jaxpose.models import posec3d, stgcn
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.skeletons.graph import COCO17_GRAPH, graph_of
from jaxpose.tasks.actions.ensemble import ensemble
from jaxpose.tasks.actions.experiment import ActionEvaluation, ActionExperiment
from jaxpose.tasks.actions.task import ActionTask
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW
from jaxpose.train.run_dir import load_run

QUIET = Console(quiet=True)
GRAPH = graph_of(H36M17)
CLIPS = SyntheticActions(10, 12)


def experiment(**changes):
    fields = {
        "skeleton": H36M17,
        "model": stgcn(5, GRAPH, in_features=2, people=1, frames=8, units=(1, 1), width=8),
        "codec": ClipCodec(GRAPH, 8, people=1),
        "train_data": CLIPS,
        "eval_data": SyntheticActions(6, 12, split="validate"),
        "mirror": True,
        "rotate": 10.0,
        "scale": 0.1,
        "optimizer": AdamW(warmup_steps=1, schedule="cosine"),
        "evaluation": ActionEvaluation(every=4, batch_size=8),
        "steps": 4,
        "batch_size": 8,
        "ema_decay": 0.9,
        "checkpoint_every": 100,
        "log_every": 1,
    }
    return ActionExperiment(**fields | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four steps."""
    directory = tmp_path_factory.mktemp("runs") / "finished"
    return directory, train(experiment(), directory, QUIET)


@pytest.mark.slow
def test_a_run_stopped_and_resumed_ends_bit_identical(finished, tmp_path, monkeypatch):
    directory, whole = finished
    assert whole.recompilations == 0 and whole.report.people == 6
    assert set(whole.report.metrics) == {"top-1", "mean class accuracy"}
    batches = ActionTask.batches

    def interrupted(self, source, mesh, start, on_loaded=lambda samples: None):
        for i, batch in enumerate(batches(self, source, mesh, start, on_loaded)):
            if start + i == 2:
                signal.raise_signal(signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(ActionTask, "batches", interrupted)
        cut = train(experiment(), tmp_path, QUIET)
    assert cut.stopped_by == signal.SIGTERM and 2 <= cut.step < 4
    rest = train(experiment(), tmp_path, QUIET)
    assert rest.step == 4 and rest.report == whole.report
    ends = [load_run(d, "last").variables for d in (directory, tmp_path)]
    assert jax.tree.all(jax.tree.map(np.array_equal, *ends))


def test_the_run_is_scored_released_and_used(finished, tmp_path):
    directory, whole = finished
    run = CliRunner()
    assert run.invoke(app, ["eval", str(directory)]).exit_code == 0
    report = json.loads((directory / "eval/report.json").read_text())
    assert report["metrics"] == pytest.approx(dict(whole.report.metrics), abs=1e-6)
    assert report["unit"] == "clips"
    predicted = json.loads((directory / "eval/predictions.json").read_text())
    assert predicted["classes"] == ["Walk", "Run", "Wave", "Reach", "Squat"]
    assert np.sum(predicted["confusion"]) == 6 == len(predicted["clips"])

    out = tmp_path / "release"
    assert run.invoke(app, ["convert", str(directory), str(out)]).exit_code == 0
    trained = load_action_model(out)
    with pytest.raises(InputError, match="classifier of actions"):
        load_pose(out)
    with pytest.raises(InputError, match=r"classifier of actions.*--actions.*A lifter is one of"):
        load_lifter(out)
    clips = experiment().eval_data.open()
    classify = trained.predictor()
    for i in range(3):
        keypoints, scores = clips.clip(i)
        np.testing.assert_allclose(
            classify(keypoints, scores), predicted["clips"][i]["scores"], atol=1e-5
        )
    data = tmp_path / "clips.npz"
    write_actions(data, clips)
    options = ["--data", str(data), "--split", "validate", "--out", str(tmp_path / "scored")]
    scored = run.invoke(app, ["eval", str(out), *options])
    assert scored.exit_code == 0, scored.output
    again = json.loads((tmp_path / "scored/report.json").read_text())
    assert again["metrics"] == pytest.approx(report["metrics"])


@pytest.mark.slow
def test_the_exported_program_is_the_classifier(finished):
    trained = load_action_model(finished[0])
    program = trained.estimator.program(trained.variables, flip_test=False)
    (clips,) = program.samples(2)
    assert clips.shape == (2, 8, 1, 17, 3)
    found = program.function(clips)["probabilities"]
    np.testing.assert_allclose(np.sum(found, axis=-1), 1, atol=1e-5)
    expected = trained.predictor()(clips[0, ..., :2], clips[0, ..., 2])
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    with pytest.raises(InputError, match="not images"):
        trained.estimator.program(trained.variables, level="photo")


def test_a_classifier_takes_any_people_and_says_what_is_wrong(finished):
    trained = load_action_model(finished[0])
    classify = trained.predictor(flip_test=True)
    keypoints = np.random.default_rng(0).uniform(0, 900, (3, 2, 17, 2))
    scores = np.ones((3, 2, 17))
    scores[:, 0] = 0.1
    both = classify(keypoints, scores)
    assert both.shape == (5,) and both.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(both, classify(keypoints[:, 1:], scores[:, 1:]), atol=1e-6)
    nobody = classify(np.full((4, 1, 17, 2), np.nan))
    assert np.isfinite(nobody).all()
    # Joints of H36M are made from COCO's.
    assert trained.predictor(source=COCO17)(keypoints).shape == (5,)
    for wrong in (keypoints[:0], keypoints[..., :1], keypoints[:, :, :5], keypoints[0]):
        with pytest.raises(InputError):
            classify(wrong)


@pytest.mark.slow
def test_what_is_random_depends_on_the_key_alone():
    task = experiment().task()
    batch = next(
        task.batches(task.open("train"), make_mesh(experiment().mesh, jax.devices()[:1]), 0)
    )
    encode = jax.jit(task.encode)
    one, labels, weights = encode(jax.random.key(0), batch)
    assert one.shape == (8, 8, 1, 17, 2) and weights.shape == labels.shape == (8,)
    np.testing.assert_array_equal(one, encode(jax.random.key(0), batch)[0])
    assert (one != encode(jax.random.key(1), batch)[0]).any()
    still = experiment().task().without_augmentation().task()
    np.testing.assert_array_equal(
        still.encode(jax.random.key(0), batch)[0], still.encode(jax.random.key(1), batch)[0]
    )
    # Turned by at most 10 degrees and scaled by at most 10 %, coordinates stay near the box.
    assert np.abs(one).max() < 1.5 * 1.1


def test_frames_after_the_end_of_a_clip_have_no_effect():
    short = [ActionClip(np.full((n, 1, 17, 2), float(n)), 0, name=str(n)) for n in (3, 30)]
    clips = actions_of(H36M17, ["a", "b", "c", "d", "e"], short, people=1)
    assert clips.length.tolist() == [3, 30] and len(clips.keypoints) == 33
    task = experiment(codec=ClipCodec(GRAPH, 8, people=1, frame="none")).task()
    data = dataclasses.replace(CLIPS)
    source = dataclasses.replace(task._source(data), clips=clips)
    batch = next(task.batches(source, make_mesh(experiment().mesh, jax.devices()[:1]), 0))
    inputs = np.asarray(task.without_augmentation().task().encode(jax.random.key(0), batch)[0])
    assert set(np.unique(inputs)) == {3.0, 30.0}
    assert (inputs.min(axis=(1, 2, 3, 4)) == inputs.max(axis=(1, 2, 3, 4))).all()


def test_label_smoothing_is_a_mean_with_the_uniform_label():
    logits, labels = np.array([[2.0, -1.0, 0.5]]), np.array([1])
    log_p = logits - np.log(np.exp(logits).sum())
    plain = cross_entropy(logits, labels, np.ones(1))
    assert float(plain) == pytest.approx(-log_p[0, 1])
    smooth = CrossEntropy(0.3)(logits, labels, np.ones(1))
    assert float(smooth) == pytest.approx(-0.7 * log_p[0, 1] - 0.3 * log_p.mean())
    assert float(cross_entropy(logits, labels, np.zeros(1))) == 0
    with pytest.raises(InputError, match="smoothing"):
        CrossEntropy(1.0)


def test_volumes_are_an_input_too():
    made = experiment(
        model=posec3d(5, frames=8, volume_hw=(16, 16), width=4, blocks=(1, 1, 1)),
        codec=VolumeCodec(17, 8, 1, (16, 16)),
    )
    made.task().check()
    assert from_json(to_json(made)) == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skeleton": COCO17, "codec": ClipCodec(COCO17_GRAPH, 8, people=2)}, "must agree"),
        ({"codec": ClipCodec(COCO17_GRAPH, 8, people=1)}, "another layout of keypoints"),
        ({"codec": ClipCodec(GRAPH, 9, people=1)}, r"inputs \[9, 1, 17, 2\]"),
        ({"classes": ("a", "b")}, "2 classes, but the model has 5"),
        ({"scale": 1.0}, "scale must be"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        experiment(**changes)


def test_data_that_does_not_fit_is_refused(tmp_path):
    clips = CLIPS.open()
    write_actions(tmp_path / "five.npz", clips)
    write_actions(tmp_path / "other.npz", dataclasses.replace(clips, classes=tuple("abcde")))
    more = dataclasses.replace(clips, classes=(*clips.classes, "Fall"))
    write_actions(tmp_path / "six.npz", more)

    def opened(name, **changes):
        data = ActionDataset(str(tmp_path / name))
        return experiment(train_data=data, **changes).task().open("train")

    assert len(opened("five.npz", classes=clips.classes)) == 10
    with pytest.raises(InputError, match="Names and order must be the same"):
        opened("other.npz", classes=clips.classes)
    with pytest.raises(InputError, match=r"6 classes, but the model has 5 logits"):
        opened("six.npz")
    flat = ClipCodec(GRAPH, 8, people=1, dimensions=3, frame="root")
    model = stgcn(5, GRAPH, in_features=3, people=1, frames=8, units=(1,), width=8)
    with pytest.raises(InputError, match="2D keypoints, but codec"):
        opened("five.npz", codec=flat, model=model)
    with pytest.raises(InputError, match="No clip has split 'vall'"):
        experiment(
            train_data=ActionDataset(str(tmp_path / "five.npz"), split=("vall",))
        ).task().open("train")


def test_an_ensemble_adds_weighted_scores(tmp_path):
    def written(name, rows, labels=("a", "b", "b"), classes=("a", "b")):
        clips = [
            {"name": str(i), "label": label, "scores": row}
            for i, (label, row) in enumerate(zip(labels, rows, strict=True))
        ]
        (tmp_path / name).mkdir()
        content = {"classes": classes, "clips": clips}
        (tmp_path / name / "predictions.json").write_text(json.dumps(content))
        return tmp_path / name

    one = written("one", [[0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    two = written("two", [[0.4, 0.6], [0.1, 0.9], [0.5, 0.5]])
    assert ensemble([one]).metrics["top-1"] == pytest.approx(100 / 3)
    assert ensemble([one, two]).metrics["top-1"] == pytest.approx(200 / 3)
    assert ensemble([one, two], [0.1, 1.0]).metrics["top-1"] == pytest.approx(100 / 3)
    other = written("other", [[0.9, 0.1]] * 3, ("a", "a", "b"))
    for folders, weights, message in (
        ([], None, "at least one"),
        ([one], [1.0, 2.0], "2 weights for 1"),
        ([one, other], None, "different clips"),
        ([tmp_path / "none"], None, "none"),
    ):
        with pytest.raises(InputError, match=message):
            ensemble(folders, weights)
