"""`jaxpose export`: its table, what it refuses, and that nothing is left half-written."""

import importlib
import json
from pathlib import Path

import drawn
import pytest
from tiny import get_config
from typer.testing import CliRunner

from jaxpose.cli import export as command
from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.export import check, stablehlo
from jaxpose.hub.load import Trained
from jaxpose.models import videopose3d
from jaxpose.skeletons import H36M17
from jaxpose.tasks.lifting.estimator import LiftingEstimator


def export(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def trained(monkeypatch):
    """A model without a file; StableHLO is a stand-in that is quick to write."""
    experiment = get_config()
    variables = drawn.variables(experiment.model, experiment.input_hw)
    estimator, variables = experiment.task().estimator(variables)
    of = Trained(Path("tiny"), estimator, variables, None)
    monkeypatch.setattr(command, "load", lambda *_, **__: of)
    monkeypatch.setattr(stablehlo, "write", lambda program, path: path.write_bytes(b"export"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onx"], "there is no format 'onx'. Did you mean 'onnx'?"),
        (["--to", " , "], "name a format: stablehlo, savedmodel, tflite, onnx"),
        (["--float16"], "--float16 is of TFLite"),
        (["--batch", 3], "--samples 4 are not whole batches of 3"),
        (["--level", "photo", "--size", "big"], "--size is HEIGHTxWIDTH in pixels"),
        (["--level", "photo", "--to", "tflite"], "TFLite exports take crops, not whole images"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, trained, tmp_path):
    pytest.importorskip("ai_edge_litert")
    result = export("model", "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and message in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_absent_package_is_named_with_its_extra(trained, tmp_path, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    result = export("model", "--to", "stablehlo,onnx", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert 'needs onnx: pip install "jaxpose[export]"' in result.output
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_something_are_left_alone(trained, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    result = export("model", "--out", tmp_path / "mine", "--overwrite", "--no-check")
    assert result.exit_code == 2 and "is not an export and is not replaced" in result.output
    result = export("model", "--out", tmp_path / "mine" / "thesis.txt" / "out", "--no-check")
    assert result.exit_code == 2 and "cannot write into" in result.output
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_export_is_replaced_when_asked(trained, tmp_path):
    out = tmp_path / "out"
    assert export("model", "--out", out, "--no-check").exit_code == 0
    (out / "model.stablehlo").write_bytes(b"old")
    again = export("model", "--out", out, "--no-check")
    assert again.exit_code == 2 and "or replace it with --overwrite" in again.output
    assert (out / "model.stablehlo").read_bytes() == b"old"
    assert export("model", "--out", out, "--no-check", "--overwrite").exit_code == 0
    assert (out / "model.stablehlo").read_bytes() == b"export"
    assert sorted(path.name for path in out.iterdir()) == [
        "model.stablehlo",
        "model.stablehlo.json",
    ]


def test_nothing_half_written_is_left(trained, tmp_path, monkeypatch):
    def full(program, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(stablehlo, "write", full)
    result = export("model", "--out", tmp_path / "out", "--no-check")
    assert result.exit_code == 2 and "make room" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("shift", "status"), [(0.01, 0), (0.5, 1)])
def test_the_table_says_how_far_from_jax(shift, status, trained, tmp_path, monkeypatch):
    def run(images):
        keypoints = command.np.zeros((len(images), 17, 2), "float32")
        return {"keypoints": keypoints, "scores": keypoints[..., 0]}

    def moved(images):
        found = run(images)
        return {**found, "keypoints": found["keypoints"] + shift}

    monkeypatch.setattr(check, "in_jax", lambda program: run)
    monkeypatch.setattr(check, "_PAUSE", 0.0)
    monkeypatch.setattr(stablehlo, "start", lambda path, names: moved)
    result = export("model", "--out", tmp_path / "out", "--batch", 2)
    assert result.exit_code == status, result.output
    assert f"{shift:.2g}" in result.output and "JAX" in result.output
    assert ("by more than it may" in result.output) == bool(status)
    card = json.loads((tmp_path / "out" / "model.stablehlo.json").read_text())
    assert card["difference_from_jax"]["pixels"] == pytest.approx(shift)
    assert card["inputs"][0]["shape"] == [2, 64, 48, 3]


def test_a_lifter_has_no_photo(tmp_path, monkeypatch):
    model = videopose3d(27, channels=8)
    estimator = LiftingEstimator(model, LiftingCodec(), H36M17)
    lifter = Trained(tmp_path, estimator, drawn.variables(model, None), None)
    monkeypatch.setattr(command, "load", lambda *_, **__: lifter)
    result = export("model", "--out", tmp_path / "out", "--level", "photo")
    assert result.exit_code == 2 and "a lifter takes keypoints, not images" in result.output
