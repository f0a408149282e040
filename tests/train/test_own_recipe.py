"""A recipe that defines its own classes trains, is killed, resumes, and is used like any other."""

import functools
import http.server
import json
import shutil
import signal
import sys
import threading
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.convert import convert
from jaxpose.cli.main import app
from jaxpose.config import from_json, override, to_json
from jaxpose.errors import InputError
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.load import load, weights
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe, open_recipe
from jaxpose.train.run_dir import load_run

HERE = Path(__file__).resolve().parent
QUIET = Console(quiet=True)
CLOSED = "was not written on this machine by you"


def command(*words) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())  # where lines are broken depends on the folder's name


def refused(*words) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def copied(folder: Path) -> Path:
    """The recipe in a folder that nothing else knows."""
    folder.mkdir(parents=True)
    for name in ("own_recipe.py", "own_parts.py"):
        shutil.copy(HERE / name, folder / name)
    return folder / "own_recipe.py"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache folder of this module: what is recorded there is all that this user wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXPOSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return copied(tmp_path_factory.mktemp("recipes") / "mine")


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory) -> Path:
    """Trained by the command line: stopped by a signal after three steps, and resumed."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    with pytest.MonkeyPatch.context() as patch:
        batches = TopDownTask.batches

        def stopped(self, source, mesh, start, **options):
            for i, batch in enumerate(batches(self, source, mesh, start, **options)):
                if i == 2:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

        patch.setattr(TopDownTask, "batches", stopped)
        output = command("train", recipe, "--workdir", folder)
        assert "Saved at step" in output and "own samples" not in sys.modules
    assert "Resuming" in command("train", recipe, "--workdir", folder)
    return folder


@pytest.fixture
def elsewhere(run, tmp_path, monkeypatch) -> Path:
    """The run as it is on another machine."""
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "empty cache"))
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_stopped_run_ends_with_the_bits_of_an_undisturbed_one(recipe, run, tmp_path):
    experiment, source = open_recipe(str(recipe))
    train(experiment, tmp_path / "whole", QUIET, recipe=source)
    whole, resumed = load_run(tmp_path / "whole", "last"), load_run(run, "last")
    assert whole.step == resumed.step == 6
    for a, b in zip(*(jax.tree.leaves(r.variables) for r in (whole, resumed)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_run_keeps_the_source_and_names_its_classes(recipe, run):
    for name in ("own_recipe.py", "own_parts.py"):
        assert (run / "recipe" / name).read_bytes() == (recipe.parent / name).read_bytes()
    record = json.loads((run / "config.json").read_text())
    assert record["experiment"]["class"] == "recipe:own_recipe.MyExperiment"
    assert record["experiment"]["codec"]["class"] == "recipe:own_parts.WideHeatmap"
    assert set(record["recipe"]["files"]) == {"own_recipe.py", "own_parts.py"}
    assert "own_parts" not in sys.modules and "own_recipe" not in sys.modules


def test_classes_of_the_recipe_and_of_the_run_are_the_same(recipe, run):
    experiment = load_recipe(str(recipe))
    assert load_run(run).experiment == experiment
    assert override(experiment, ["loss.factor=3", "model.backbone.width=8"]).loss.factor == 3.0


@pytest.mark.slow
def test_a_run_is_evaluated_predicted_converted_and_exported(run, tmp_path):
    command("eval", run, "--out", tmp_path / "eval")
    cv2.imwrite(str(tmp_path / "image.png"), np.full((48, 36, 3), 90, np.uint8))
    command("predict", tmp_path / "image.png", "--from", run, "--out", tmp_path / "people")
    assert (tmp_path / "people" / "predictions.json").is_file()
    command("convert", run, tmp_path / "release")
    assert (tmp_path / "release" / "recipe" / "own_parts.py").is_file()
    released, trained = load(tmp_path / "release"), load(run)
    assert released.estimator == trained.estimator
    command("export", tmp_path / "release", "--out", tmp_path / "export", "--samples", 2)


def test_a_run_from_elsewhere_is_closed_unless_it_is_trusted(elsewhere, tmp_path):
    with pytest.raises(InputError, match=CLOSED):
        load_run(elsewhere)
    message = refused("eval", elsewhere)
    assert "--trust-recipe" in message and str(elsewhere / "recipe") in message
    assert "recipe:own_recipe.MyExperiment" in message
    with pytest.raises(InputError, match=CLOSED):
        weights(str(elsewhere))
    assert load(elsewhere, trust_recipe=True).step == 6
    command("convert", elsewhere, tmp_path / "out", "--trust-recipe")
    # Trust once is not trust for ever; but what was written here is one's own.
    with pytest.raises(InputError, match=CLOSED):
        load(elsewhere)
    with pytest.raises(InputError, match=r"exists.*--overwrite"):
        convert(elsewhere, tmp_path / "out", ConvertOptions(), trust_recipe=True)
    said = command("convert", elsewhere, tmp_path / "out", "--trust-recipe", "--force")
    assert "--force is now --overwrite" in said
    command("convert", elsewhere, tmp_path / "out", "--trust-recipe", "--overwrite")
    assert load(tmp_path / "out").step is None


def test_a_release_from_elsewhere_is_closed_unless_it_is_trusted(run, tmp_path, monkeypatch):
    command("convert", run, tmp_path / "release")
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "empty cache"))
    with pytest.raises(InputError, match=CLOSED):
        load(tmp_path / "release")
    assert load(tmp_path / "release", trust_recipe=True).estimator.skeleton.num_keypoints == 17


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """The address of `tmp_path`, served by this machine."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_a_downloaded_release_brings_its_source_and_is_closed(run, tmp_path, monkeypatch, server):
    command("convert", run, tmp_path / "release")
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "empty cache"))
    with pytest.raises(InputError, match=CLOSED):
        load(f"{server}/release")
    loaded = load(f"{server}/release", trust_recipe=True)
    assert type(loaded.codec).__name__ == "WideHeatmap"
    # A source that is not the one that the release lists is another one than was published.
    (tmp_path / "release" / "recipe" / "own_parts.py").write_text("raise SystemExit\n")
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "another cache"))
    with pytest.raises(InputError, match="has the SHA-256"):
        load(f"{server}/release", trust_recipe=True)


def test_a_copy_on_this_machine_is_open_until_it_is_edited(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    assert load_run(tmp_path / "copy").step == 6
    file = tmp_path / "copy" / "recipe" / "own_parts.py"
    file.write_text(file.read_text() + "\nprint('something else')\n")
    with pytest.raises(InputError, match="or was changed since"):
        load_run(tmp_path / "copy")
    shutil.copy(run / "recipe" / "own_parts.py", file)
    config = tmp_path / "copy" / "config.json"
    config.write_text(config.read_text().replace('"factor": 2.0', '"factor": 2.5'))
    with pytest.raises(InputError, match="or was changed since"):
        load_run(tmp_path / "copy")


@pytest.mark.slow
def test_a_run_from_elsewhere_is_resumed_with_its_recipe(elsewhere, recipe):
    """Giving the recipe trusts it; code that lies in the run is not executed."""
    broken = elsewhere / "recipe" / "own_recipe.py"
    text = broken.read_text()
    output = command("train", recipe, "--workdir", elsewhere, "--set", "steps=8")
    assert "steps: 6 -> 8" in output and broken.read_text() == text
    assert load_run(elsewhere).step == 8


def test_changed_code_is_named_and_refused(recipe, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    edited = copied(tmp_path / "edited")
    parts = edited.with_name("own_parts.py")
    parts.write_text(parts.read_text().replace("nn.relu(", "nn.gelu("))
    message = refused("train", edited, "--workdir", tmp_path / "run")
    assert "own_parts.py: Backbone" in message and "own_recipe.py" not in message.split("To ")[0]
    assert f"jaxpose train {tmp_path / 'run' / 'recipe' / 'own_recipe.py'}" in message
    assert "--overwrite" in message


@pytest.mark.slow
def test_changed_comments_and_layout_are_not_changed_code(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    edited = copied(tmp_path / "edited")
    text = edited.read_text().replace("A task of crops that names its samples.", "Other words.")
    edited.write_text("# A comment.\n" + text.replace('motto="small",', 'motto = "small", # so'))
    output = command("train", edited, "--workdir", tmp_path / "run", "--set", "steps=7")
    assert "but not its code" in output
    assert (tmp_path / "run" / "recipe" / "own_recipe.py").read_text() == edited.read_text()
    assert load_run(tmp_path / "run").step == 7


def test_the_stored_copy_is_a_recipe(run):
    assert "already trained for 6 steps" in command(
        "train", run / "recipe" / "own_recipe.py", "--workdir", run
    )


def test_a_source_that_is_gone_is_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "recipe" / "own_parts.py").unlink()
    with pytest.raises(InputError, match=r"own_parts\.py, a part of the recipe, cannot be read"):
        load_run(tmp_path / "copy")


def test_a_class_that_cannot_be_imported(run):
    record = json.loads((run / "config.json").read_text())["experiment"]
    record["loss"] = {"class": "some_package_that_is_not_there.losses.Own"}
    with pytest.raises(InputError, match="is not a configurable class"):
        from_json(record, classes=lambda path: None)
    from jaxpose.config.trust import classes_for

    classes = classes_for(record, lambda: None, "RUN", trust_recipe=True)
    with pytest.raises(InputError, match=r"cannot be imported: ModuleNotFoundError.*Install"):
        from_json(record["loss"], classes=classes)


@pytest.mark.parametrize("name", ["../outside.py", "/etc/outside.py", "a/../../b.py", "x.so", 3])
def test_a_source_outside_of_the_folder_is_refused(run, tmp_path, name):
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy" / "config.json"
    record = json.loads(file.read_text())
    record["recipe"] = {"main": name, "files": {name: "0" * 64}}
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match="is damaged: its entry 'recipe'"):
        load_run(tmp_path / "copy", trust_recipe=True)


def test_a_class_without_a_path_is_refused_at_the_start(recipe, tmp_path):
    from jaxpose.losses import HeatmapMSE

    class Inner(HeatmapMSE):
        pass

    with pytest.raises(InputError, match="defined inside of another definition"):
        to_json(Inner())
