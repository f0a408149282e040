"""`jaxpose convert`: from a checkpoint to a release that predicts."""

import json

import drawn
import jax
import numpy as np
import pytest
from reference import load
from safetensors.numpy import save_file
from tiny import get_config
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs import Heatmap
from jaxpose.errors import InputError
from jaxpose.hub.load import load_pose
from jaxpose.skeletons import COCO17, HAND21
from jaxpose.train.run_dir import Run


def invoke(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def small():
    return load("vitpose_s_256x192").state_dict


def test_a_checkpoint_is_recognised_and_released(small, tmp_path):
    torch = pytest.importorskip("torch")
    content = {key: torch.from_numpy(array) for key, array in small.items()}
    torch.save({"state_dict": content, "meta": {"epoch": 210}}, tmp_path / "x.pth")
    result = invoke(tmp_path / "x.pth", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for words in (
        "MMPose 1.x",
        "vitpose-s",
        "24.29 M",
        "17, coco17",
        "192 x 256",
        "161 used",
        "done 161 + left out 0",
    ):
        assert words in result.output
    trained = load_pose(tmp_path / "out", "best")
    assert trained.skeleton == COCO17
    assert isinstance(trained.codec, Heatmap) and trained.codec.udp
    np.testing.assert_array_equal(
        trained.variables["params"]["head"]["final"]["bias"], small["head.final_layer.bias"]
    )
    again = invoke(tmp_path / "x.pth", tmp_path / "out")
    assert again.exit_code == 2 and "exists" in again.output


def test_keypoints_and_size_are_read_off_the_arrays(small, tmp_path):
    other = dict(small)
    other["head.final_layer.weight"] = np.zeros((21, 256, 1, 1), np.float32)
    other["head.final_layer.bias"] = np.zeros(21, np.float32)
    other["backbone.pos_embed"] = np.zeros((1, 24 * 18, 384), np.float16)
    save_file(other, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "21, not named" in result.output and "288 x 384 pixels" in result.output
    with pytest.raises(InputError, match="--skeleton"):
        load_pose(tmp_path / "out")
    arguments = tmp_path / "x.safetensors", tmp_path / "hand", "--skeleton"
    result = invoke(*arguments, "mpii16")
    assert result.exit_code == 2 and "has 21 keypoints, mpii16 16" in result.output
    result = invoke(*arguments, "hand21", "--model", "vitpose-s")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "hand" / "config.json").read_text())
    assert config["num_keypoints"] == 21 and config["estimator"]["codec"]["input_hw"] == [384, 288]
    assert load_pose(tmp_path / "hand").skeleton == HAND21


def test_half_a_checkpoint_is_refused_on_one_screen(small, tmp_path):
    half = dict(list(small.items())[::2])
    save_file(half, tmp_path / "x.safetensors")
    result = invoke(tmp_path / "x.safetensors", tmp_path / "out", "--report", tmp_path / "all.txt")
    assert result.exit_code == 2
    assert len(result.output.splitlines()) < 50
    assert "vitpose-s" in result.output
    assert "is incomplete" in " ".join(result.output.split())
    assert "params/head/final/kernel [1, 1, 256, 17]" in (tmp_path / "all.txt").read_text()
    assert not (tmp_path / "out").exists()


def test_a_backbone_needs_a_model_and_a_fresh_head(small, tmp_path):
    save_file(small, tmp_path / "x.safetensors")
    arguments = tmp_path / "x.safetensors", tmp_path / "out", "--reset-head"
    result = invoke(*arguments)
    assert result.exit_code == 2 and "needs --model" in result.output
    result = invoke(*arguments, "--model", "vitpose-s", "--keypoints", 9)
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_keypoints"] == 9 and config["estimator"] is None


def test_a_size_that_is_none_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", **{"backbone.conv1.weight": np.zeros(3)})
    result = invoke(tmp_path / "x.npz", tmp_path / "out", "--input-size", "256")
    assert result.exit_code == 2 and "such as 256x192" in result.output


def test_a_run_becomes_a_release_that_predicts_as_it_does(tmp_path, monkeypatch):
    experiment = get_config()
    variables = drawn.variables(experiment.model, experiment.codec.input_hw)
    directory = tmp_path / "run"
    (directory / "checkpoints").mkdir(parents=True)
    run = Run(directory, experiment, variables, 12, {})
    monkeypatch.setattr("jaxpose.cli.convert.load_run", lambda *_, **__: run)
    result = invoke(directory, tmp_path / "out")
    assert result.exit_code == 0, result.output
    trained = load_pose(tmp_path / "out", "best")
    assert trained.model == experiment.model and trained.codec == experiment.codec
    assert (
        trained.skeleton == experiment.skeleton and trained.estimator.padding == experiment.padding
    )
    jax.tree.map(np.testing.assert_array_equal, trained.variables, variables)
    again = invoke(tmp_path / "out", tmp_path / "again")
    assert again.exit_code == 2 and "is a release already" in " ".join(again.output.split())


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    result = invoke(tmp_path / "empty", tmp_path / "out")
    text = " ".join(result.output.split())
    assert result.exit_code == 2 and "is a folder without a run, a release or a checkpoint" in text
