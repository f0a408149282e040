"""What training says when something is wrong, and what a finished run leaves behind."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import override, to_json
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.media.image import read_photo
from jaxpose.metrics.report import Report
from jaxpose.models import vitpose
from jaxpose.skeletons import AP10K17
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run, read_record

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def tiny():
    return load_recipe(str(TINY))


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A run of two steps through the command line."""
    directory = tmp_path_factory.mktemp("runs") / "finished"
    command = ["train", str(TINY), "--workdir", str(directory)]
    for change in ("steps=2", "evaluation.every=2", "evaluation.examples=4"):
        command += ["--set", change]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return directory, result.output


def test_a_run_leaves_what_it_takes_to_rebuild_it(tiny, finished):
    directory, output = finished
    record = read_record(directory)
    expected = override(tiny, ["steps=2", "evaluation.every=2", "evaluation.examples=4"])
    assert record["experiment"] == json.loads(json.dumps(to_json(expected)))
    assert set(record["data"]) == {"train", "eval"}
    assert {"jax", "flax", "jaxpose"} <= record["versions"].keys()
    assert "git_revision" in record
    report = Report.from_json((directory / "report.json").read_text())
    assert report.people == 10 and report.flip_test and report.boxes.startswith("ground truth")
    assert "Compilations after the first step: 0." in output
    assert [r["kind"] for r in read_metrics(directory)] == ["train", "train", "eval"]
    assert list(directory.glob("events.out.tfevents*"))
    assert read_photo(directory / "predictions.png").std() > 10
    assert load_run(directory).experiment == expected


def test_eval_repeats_the_score_of_training(finished):
    directory, _ = finished
    result = CliRunner().invoke(app, ["eval", str(directory)])
    assert result.exit_code == 0, result.output
    again = Report.from_json((directory / "eval" / "report.json").read_text())
    assert again == Report.from_json((directory / "report.json").read_text())
    rows = json.loads((directory / "eval" / "predictions.json").read_text())
    assert len(rows) == 10 and len(rows[0]["keypoints"]) == 51
    assert np.isfinite([row["score"] for row in rows]).all()


def test_eval_gives_the_same_score_on_another_number_of_devices(finished, tmp_path, monkeypatch):
    directory, _ = finished  # trained on eight
    record = json.loads((directory / "config.json").read_text())
    record["experiment"]["mesh"] |= {"data": 2, "fsdp": 4}
    copy = tmp_path / "run"
    shutil.copytree(directory, copy)
    (copy / "config.json").write_text(json.dumps(record))
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: first)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    result = CliRunner().invoke(app, ["eval", str(copy), "--checkpoint", "last"])
    assert result.exit_code == 0, result.output
    one = Report.from_json((copy / "eval" / "report.json").read_text())
    eight = Report.from_json((directory / "report.json").read_text())
    assert one.metrics == pytest.approx(eight.metrics, abs=1e-6)


def test_data_of_another_skeleton_is_refused(tiny, tmp_path):
    experiment = dataclasses.replace(tiny, skeleton=AP10K17)
    with pytest.raises(InputError, match=r"train_data has the keypoints of skeleton 'coco17'"):
        train(experiment, tmp_path, QUIET)


def test_model_and_codec_that_disagree_are_refused(tiny, tmp_path):
    experiment = override(tiny, ["codec.heatmap_hw=(32, 24)"])
    with pytest.raises(InputError, match=r"Make codec\.heatmap_hw"):
        train(experiment, tmp_path, QUIET)


def test_changed_data_is_refused_on_resume(tiny, finished):
    directory, _ = finished
    changed = override(load_run(directory).experiment, ["seed=0"])
    file = directory / "config.json"
    text = file.read_text()
    record = json.loads(text)
    record["data"]["train"] = "another"
    file.write_text(json.dumps(record))
    try:
        with pytest.raises(InputError, match=r"differs from the data that .* was trained on"):
            train(changed, directory, QUIET)
    finally:
        file.write_text(text)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_checkpoints(tiny, tmp_path):
    wild = override(
        tiny,
        [
            "optimizer.learning_rate=1e30",
            "optimizer.clip_norm=none",
            "optimizer.warmup_steps=0",
            "checkpoint_every=1",
        ],
    )
    with pytest.raises(InputError, match=r"loss is (nan|inf) at step"):
        train(wild, tmp_path, QUIET)
    finite = load_run(tmp_path, "last")
    assert finite.step >= 1


def test_workdir_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="Cannot write to the run directory"):
        train(tiny, tmp_path / "file" / "run", QUIET)


def test_weights_of_another_model_list_each_key(tiny, tmp_path):
    from safetensors.numpy import save_file

    weights = {"backbone.pos_embed": np.zeros((1, 192, 384), np.float32)}
    save_file(weights, tmp_path / "other.safetensors")
    experiment = dataclasses.replace(
        tiny,
        model=vitpose("Ti", input_hw=(64, 48)),
        init_from=str(tmp_path / "other.safetensors"),
    )
    with pytest.raises(InputError) as error:
        train(experiment, tmp_path / "run", QUIET)
    assert "blocks" in str(error.value) or "layers" in str(error.value)


def test_misspelt_key_on_the_command_line_exits_with_2(tmp_path):
    result = CliRunner().invoke(
        app, ["train", str(TINY), "--workdir", str(tmp_path), "--set", "optimizer.lr=1"]
    )
    assert result.exit_code == 2
    assert "learning_rate" in result.output


def test_empty_data_is_refused(tiny, tmp_path):
    experiment = dataclasses.replace(tiny, train_data=SyntheticPeople(0, 0, (96, 72)))
    with pytest.raises(InputError):
        train(experiment, tmp_path, QUIET)
