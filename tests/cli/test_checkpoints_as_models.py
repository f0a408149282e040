"""Checkpoints named where a model is wanted: converted once, kept, and plain about detectors."""

import json

import drawn
import jax
import numpy as np
import pytest
from rich.table import Table
from safetensors.numpy import save_file
from tiny import get_config
from typer.testing import CliRunner

from jaxpose import paths as path_module
from jaxpose.cli.main import app
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.convert.rules import flatten
from jaxpose.detect import Detector
from jaxpose.errors import InputError
from jaxpose.hub import catalogue
from jaxpose.hub import load as trained_module
from jaxpose.hub.load import load_pose
from jaxpose.models.published.catalogue import DETECTORS


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def invoke(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def saved(path, variables):
    save_file({key: np.array(leaf) for key, leaf in flatten(variables).items()}, path)
    return path


def test_a_checkpoint_serves_as_a_model_and_is_converted_once(tmp_path, cache, capsys, monkeypatch):
    experiment, converted = get_config(), []
    variables = drawn.variables(experiment.model, experiment.input_hw)

    def release(source, out, options):
        converted.append(source)
        estimator, _ = experiment.task().estimator(variables)
        config = {"estimator": to_json(estimator)}
        save_release(out, variables, config, Card("tiny", "theirs", "crops", ()))
        table = Table(show_header=False)
        table.add_row("model", "tiny")
        return table, []

    monkeypatch.setattr(catalogue, "release_checkpoint", release)
    path = saved(tmp_path / "theirs.safetensors", variables)
    first = load_pose(path)
    told = capsys.readouterr().err
    assert "tiny" in told and "Converted once" in told
    assert first.skeleton == experiment.skeleton and first.codec == experiment.codec
    assert first.directory.parent == cache / "releases"
    jax.tree.map(np.testing.assert_array_equal, first.variables, variables)
    path.rename(tmp_path / "moved.safetensors")
    assert load_pose(tmp_path / "moved.safetensors").directory == first.directory
    assert converted == [path] and not capsys.readouterr().err
    with pytest.raises(InputError, match="There is no checkpoint file"):
        load_pose(tmp_path / "none.pth")
    # A bucket, for which a folder stands: what is no run is copied from there.
    for module in (trained_module, path_module):
        monkeypatch.setattr(module, "in_bucket", lambda path: str(path).startswith("gs://mine"))
    monkeypatch.setattr(trained_module, "as_path", lambda path: first.directory)
    assert load_pose("gs://mine/tiny").codec == experiment.codec


def test_a_detector_becomes_a_release(tmp_path):
    entry = next(entry for entry in DETECTORS if entry.name == "yolox-nano")
    variables = drawn.variables(entry.model(), entry.input_hw)
    path = saved(tmp_path / "yolox.safetensors", variables)
    result = invoke(path, tmp_path / "out", "--input-size", "64x96")
    assert result.exit_code == 0, result.output
    assert "yolox-nano" in result.output and "96 x 64 pixels" in result.output
    detector = Detector.load(tmp_path / "out", threshold=0.4)
    assert detector.input_hw == (64, 96) and detector.name == "yolox-nano"
    detector.save(tmp_path / "mine")
    again = Detector.load(tmp_path / "mine")
    config = json.loads((tmp_path / "mine/config.json").read_text())
    assert (config["threshold"], config["iou"], config["num_classes"]) == (0.4, 0.65, 80)
    jax.tree.map(np.testing.assert_array_equal, again.variables, variables)
    assert "--detector THIS_FOLDER" in (tmp_path / "mine/README.md").read_text()
    config["max_people"] = 0
    (tmp_path / "mine/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="mine: max_people and batch_size must be"):
        Detector.load(tmp_path / "mine")
    with pytest.raises(InputError, match=r"out is a detector\. Pass it with --detector"):
        load_pose(tmp_path / "out")
    result = invoke(path, tmp_path / "other", "--keypoints", "17")
    assert result.exit_code == 2 and "has no keypoints" in " ".join(result.output.split())
    result = invoke(path, tmp_path / "other", "--model", "yolox-nono")
    assert result.exit_code == 2 and "Did you mean 'yolox-nano'" in " ".join(result.output.split())
    with pytest.raises(InputError, match="exists"):
        detector.save(tmp_path / "mine")
