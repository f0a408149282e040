"""Content that a run directory refuses, keeps and takes: new, longer and restarted runs."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.data.source import Records, SyntheticPeople, SyntheticScenes
from jaxpose.errors import InputError
from jaxpose.hub.load import weights
from jaxpose.train import loop
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe, open_recipe
from jaxpose.train.run_dir import Start, begin, clear, load_run, read_record
from jaxpose.train.shared_samples import parts_of_one_split, same_people

RECIPE = Path(__file__).resolve().parent / "own_recipe.py"
TINY = RECIPE.parents[1] / "tiny.py"
QUIET = Console(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXPOSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def experiment():
    return load_recipe(str(RECIPE))


def said(call, *arguments, **options) -> str:
    console = Console(record=True, width=1000, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    call(*arguments, console, **options)
    return console.export_text()


def variables(run: Path):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(load_run(run, "last").variables)]


def same(a, b) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def test_a_failed_start_leaves_nothing(experiment, tmp_path):
    wrong = override(experiment, [f"init_from={tmp_path / 'no_such_weights'}"])
    run = tmp_path / "runs" / "one"
    with pytest.raises(InputError):
        train(wrong, run, QUIET)
    assert not run.exists()
    # The same place takes another experiment, and a folder that was there stays.
    run.mkdir()
    with pytest.raises(InputError):
        train(wrong, run, QUIET)
    assert list(run.iterdir()) == []


def test_a_start_that_fails_before_the_first_step_leaves_nothing(experiment, tmp_path, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(loop, "compile_step", fails)
    with pytest.raises(RuntimeError):
        train(experiment, tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def test_reset_head_without_init_from_is_refused(experiment, tmp_path):
    with pytest.raises(InputError, match="init_from is not set"):
        train(override(experiment, ["reset_head=true", "steps=1"]), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(experiment, tmp_path):
    """A rate that does not depend on the length gives the same bits as a long run."""
    constant = override(experiment, ["optimizer.schedule=constant", "steps=3"])
    longer = override(constant, ["steps=6", "checkpoint_every=5", "log_every=2"])
    train(constant, tmp_path / "short", QUIET)
    train(longer, tmp_path / "long", QUIET)
    text = said(train, longer, tmp_path / "short")
    assert "Changed since the run began: " in text and "steps: 3 -> 6" in text
    assert "checkpoint_every: 100 -> 5" in text
    assert "the result is that of a run that began with 6 steps" in text
    assert same(variables(tmp_path / "short"), variables(tmp_path / "long"))
    record = read_record(tmp_path / "short")
    assert record["experiment"]["steps"] == 6
    (change,) = record["changes"]
    assert change["step"] == 3 and "steps: 3 -> 6" in change["changed"]
    assert load_run(tmp_path / "short").experiment == longer
    assert "already trained for 6 steps" in said(train, longer, tmp_path / "short")


@pytest.mark.slow
def test_a_longer_run_says_that_the_schedule_depends_on_its_length(experiment, tmp_path):
    short = override(experiment, ["steps=4"])
    train(short, tmp_path / "run", QUIET)
    text = said(train, override(short, ["steps=8"]), tmp_path / "run")
    found = re.search(r"schedule of 8 steps: (\S+) in step 5\..* was (\S+) in step 4\.", text)
    assert found and float(found[1]) > float(found[2]) > 0
    assert "not that of a run that began with 8 steps" in text


def test_what_changes_the_bits_is_refused_and_named(experiment, tmp_path):
    train(override(experiment, ["steps=2"]), tmp_path / "run", QUIET)
    before = (tmp_path / "run" / "config.json").read_text()
    changed = override(experiment, ["seed=1", "batch_size=16", "optimizer.clip_norm=2.0"])
    with pytest.raises(InputError) as error:
        train(changed, tmp_path / "run", QUIET)
    message = str(error.value)
    for line in ("seed: 0 -> 1", "batch_size: 8 -> 16", "optimizer.clip_norm: 1.0 -> 2.0"):
        assert line in message
    assert "steps" not in message and "--overwrite" in message and "--workdir" in message
    assert (tmp_path / "run" / "config.json").read_text() == before


def test_other_random_numbers_are_refused(experiment, tmp_path):
    begin(tmp_path, experiment, {}, None).write()
    before = jax.config.jax_default_prng_impl
    jax.config.update("jax_default_prng_impl", "rbg")
    try:
        with pytest.raises(InputError, match=f"JAX_DEFAULT_PRNG_IMPL={before} to resume"):
            begin(tmp_path, experiment, {}, None)
    finally:
        jax.config.update("jax_default_prng_impl", before)
    assert begin(tmp_path, experiment, {}, None).resumes


def test_overwrite_begins_afresh_and_removes_only_what_was_written(experiment, tmp_path):
    run = tmp_path / "run"
    train(override(experiment, ["steps=2"]), run, QUIET)
    (run / "notes.txt").write_text("mine")
    other = override(experiment, ["steps=2", "seed=1"])
    train(other, run, QUIET, overwrite=True)
    train(other, tmp_path / "fresh", QUIET)
    assert same(variables(run), variables(tmp_path / "fresh"))
    assert (run / "notes.txt").read_text() == "mine"
    assert load_run(run).experiment == other
    assert [p.name for p in (run / "checkpoints").iterdir() if p.is_dir()] == ["2"]
    # A start that fails leaves the old run as it was.
    kept = variables(run)
    with pytest.raises(InputError):
        train(override(other, ["init_from=no_such_file"]), run, QUIET, overwrite=True)
    assert same(variables(run), kept)


def test_overwrite_of_an_empty_place_is_a_start(experiment, tmp_path):
    clear(tmp_path / "run")
    train(override(experiment, ["steps=1"]), tmp_path / "run", QUIET, overwrite=True)
    assert load_run(tmp_path / "run").step == 1


@pytest.mark.slow
def test_a_run_starts_from_a_run(experiment, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    command = ["train", str(RECIPE), "--set", "steps=1", "--workdir"]
    result = CliRunner().invoke(app, [*command, str(first)])
    assert result.exit_code == 0, result.output
    frozen = "optimizer.frozen=('.*',)"
    result = CliRunner().invoke(
        app, [*command, str(second), "--set", f"init_from={first}", "--set", frozen]
    )
    assert result.exit_code == 0, result.output
    # Nothing was trained, so the averaged weights that it began with are those of the first run.
    assert same(variables(second), variables(first))
    assert set(weights(str(first))) == {
        *(f"params/backbone/Conv_0/{name}" for name in ("kernel", "bias")),
        *(f"params/head/Conv_0/{name}" for name in ("kernel", "bias")),
    }


def test_a_newer_schema_is_refused(experiment, tmp_path):
    train(override(experiment, ["steps=1"]), tmp_path, QUIET)
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["schema"] == 2
    (tmp_path / "config.json").write_text(json.dumps(record | {"schema": 99}))
    for call in (lambda: load_run(tmp_path), lambda: train(experiment, tmp_path, QUIET)):
        with pytest.raises(InputError, match=r"it has schema 99.*Update jaxpose"):
            call()


@pytest.mark.slow
def test_a_run_of_an_older_schema_is_written_anew_when_it_goes_on(experiment, tmp_path):
    train(override(experiment, ["steps=1"]), tmp_path, QUIET)
    file = tmp_path / "config.json"
    record = json.loads(file.read_text())
    del record["schema"]
    record["experiment"]["optimizer"]["class"] = "jaxpose.config.settings.Optimizer"
    file.write_text(json.dumps(record))
    train(override(experiment, ["steps=2"]), tmp_path, QUIET)
    record = json.loads(file.read_text())
    assert record["schema"] == 2 and "settings" not in json.dumps(record["experiment"])


@pytest.mark.parametrize(
    ("train_data", "eval_data", "shared"),
    [
        ("a1b2-train", "a1b2-train", True),
        ("a1b2-train", "a1b2-train-50", True),
        ("a1b2-train-50", "a1b2-train", True),
        ("a1b2-train", "a1b2-val", False),
        ("a1b2-train", "c3d4-train", False),
        ("plain-v2-seed0-0..499-96x72", "plain-v2-seed0-0..99-96x72", True),
        ("plain-v2-seed0-0..499-96x72", "plain-v2-seed0-500..599-96x72", False),
        ("plain-v2-seed0-0..499-96x72", "plain-v2-seed1-0..99-96x72", False),
        ("3xa1-train#0+1xb2-train-50#1", "b2-train", True),
        ("3xa1-train#0+1xb2-train#1", "b2-val", False),
        ("people-of-a1-train", "a1-train-20", True),
    ],
)
def test_shared_people_are_seen_by_the_fingerprints(train_data, eval_data, shared):
    assert same_people({"train": train_data, "eval": eval_data}) is shared


@pytest.mark.parametrize(
    ("train_data", "eval_data", "shared"),
    [
        (SyntheticPeople(256, seed=0), SyntheticPeople(16, seed=0), True),
        (SyntheticPeople(256, seed=0), SyntheticPeople(16, seed=1), False),
        (SyntheticScenes(256, seed=0), SyntheticScenes(16, seed=0), True),
    ],
)
def test_synthetic_people_of_one_seed_are_shared(train_data, eval_data, shared):
    opened = {"train": train_data.open(), "eval": eval_data.open()}
    found = {role: source.fingerprint() for role, source in opened.items()}
    assert same_people(found) is shared


def test_two_parts_of_one_split_are_shared():
    train_data, small = Records("a", "train", part=0.5), Records("a", "train", part=0.1)
    assert parts_of_one_split(train_data, small)
    assert not parts_of_one_split(train_data, Records("a", "val", part=0.5))
    assert not parts_of_one_split(train_data, Records("b", "train", part=0.5))
    assert not parts_of_one_split(SyntheticPeople(2, seed=0), SyntheticPeople(2, seed=0))


def test_a_run_without_a_complete_checkpoint_says_that_it_starts_again(experiment, tmp_path):
    short = override(experiment, ["steps=1"])
    train(short, tmp_path, QUIET)
    shutil.rmtree(tmp_path / "checkpoints")
    line = "No complete checkpoint yet: starting at step 0."
    assert line in said(train, short, tmp_path)
    assert line not in said(train, short, tmp_path)


def test_eval_reports_shared_people_and_refuses_a_split_alone(experiment, tmp_path):
    run = tmp_path / "run"
    train(override(experiment, ["eval_data.seed=0", "steps=1"]), run, QUIET)
    result = CliRunner().invoke(app, ["eval", str(run)])
    assert result.exit_code == 0, result.output
    assert "trained on samples of this data" in " ".join(result.output.split())
    for more, line in (
        (["--split", "val"], "--split names a split of --data, which is absent"),
        (["--data", "my.py"], "takes the folder of a prepared dataset, not a file"),
    ):
        result = CliRunner().invoke(app, ["eval", str(run), *more])
        assert result.exit_code == 2 and line in " ".join(result.output.split())


def test_evaluation_on_the_training_people_is_said(experiment, tmp_path):
    shared = override(experiment, ["eval_data.seed=0", "steps=1"])
    assert "Training and evaluation share samples" in said(train, shared, tmp_path / "a")
    assert "same samples" not in said(train, override(experiment, ["steps=1"]), tmp_path / "b")


def test_an_abandoned_start_keeps_what_others_wrote(experiment, tmp_path):
    start = Start(tmp_path, experiment, {}, None)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "1").mkdir()
    start.abandon()
    assert (tmp_path / "checkpoints" / "1").is_dir()


OWN = """import dataclasses

import jax.numpy as jnp
import tiny

from jaxpose.losses import Loss
from jaxpose.metrics import Metric


@dataclasses.dataclass(frozen=True)
class MedianError(Metric):
    @property
    def figures(self):
        return {"median error": "lower"}

    def __call__(self, estimates):
        return {"median error": np.nanmedian(estimates.distances)}


@dataclasses.dataclass(frozen=True)
class Own(Loss):
    def __call__(self, outputs, targets, weights):
        return jnp.mean((outputs - targets) ** 2)


def get_config():
    experiment = tiny.get_config()
    evaluation = dataclasses.replace(experiment.evaluation, metrics=(MedianError(),), best="")
    return dataclasses.replace(experiment, loss=Own(), evaluation=evaluation)
"""


def test_a_repaired_metric_resumes_the_run_and_a_changed_loss_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))
    data = {"train": "a", "eval": "b"}

    def begun(text):
        file = tmp_path / "mine" / "own.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.with_name("tiny.py").write_text(TINY.read_text())
        experiment, recipe = open_recipe(str(file))
        return begin(tmp_path / "run", experiment, data, recipe)

    first = begun(OWN)
    first.make_folder()
    first.write()
    repaired = OWN.replace("import tiny\n", "import numpy as np\nimport tiny\n")
    with pytest.raises(InputError, match=r"(?s)own\.py: Own.*--overwrite"):
        begun(repaired.replace("** 2", "** 4"))
    second = begun(repaired.replace("np.nanmedian", "1 * np.nanmedian"))
    (note,) = second.notes(3)
    assert "The code of MedianError changed" in note and "earlier figures" in note
    second.write(3)
    assert "import numpy" in (tmp_path / "run" / "recipe" / "own.py").read_text()
    assert begun(repaired.replace("np.nanmedian", "1 * np.nanmedian")).notes(3) == []
