"""`jaxpose predict` with a run that `jaxpose train` has just made, on a real photo file."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.data.synthetic import render
from jaxpose.skeletons import COCO17
from jaxpose.viz import save_image

TINY = Path(__file__).resolve().parents[1] / "tiny.py"


def invoke(*arguments) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_train_then_predict(tmp_path):
    invoke("train", TINY, "--workdir", tmp_path / "run", "--set", "steps=1")
    save_image(tmp_path / "person.png", render(0, 0)["image"])
    output = invoke(
        *("predict", tmp_path / "person.png", "--from", tmp_path / "run"),
        *("--boxes", "full", "--out", tmp_path / "out"),
    )
    assert "1 image, 1 person" in output
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert content["model"]["step"] == 1
    (person,) = content["photos"][0]["people"]
    assert tuple(person["keypoints"]) == COCO17.keypoints
    scores = [keypoint["score"] for keypoint in person["keypoints"].values()]
    assert np.all(np.array(scores) >= 0) and np.all(np.array(scores) <= 1)
    assert (tmp_path / "out" / "person.png").is_file()


def test_a_smoothing_that_is_no_filter_and_no_refiner_is_refused(tmp_path):
    save_image(tmp_path / "person.png", render(0, 0)["image"])
    (tmp_path / "empty").mkdir()
    options = ["predict", tmp_path / "person.png", "--from", "jaxpose-small", "--boxes", "full"]

    def refusal(smooth) -> str:
        words = [*options, "--out", tmp_path / "out", "--smooth", smooth]
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 2
        return " ".join(result.output.split())

    known = "'one-eura' is none of none, one-euro, savitzky-golay, and no run directory"
    message = refusal("one-eura")
    assert known in message and "Did you mean 'one-euro'?" in message
    assert "empty" in refusal(tmp_path / "empty")
