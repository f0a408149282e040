"""Models for many people as they are used: training, prediction, tracking, demo and export.

Weights are drawn, so what is found means nothing; a model's way through the commands is tested.
"""

import json
from functools import cache
from pathlib import Path

import drawn
import numpy as np
import pytest
from tiny_crowd import EXPERIMENTS, QUERIES, UNTRAINED, YOLO, estimator
from typer.testing import CliRunner
from videos import write_video

from jaxpose import export
from jaxpose.cli import export as export_module
from jaxpose.cli import predict as predict_module
from jaxpose.cli.main import app
from jaxpose.codecs.visualize import has_maps
from jaxpose.data.source import SyntheticScenes
from jaxpose.demo.limits import Limits
from jaxpose.demo.session import DemoSession
from jaxpose.hub.load import Trained
from jaxpose.pipeline import Options, Pipeline
from jaxpose.skeletons import COCO17
from jaxpose.viz import save_image

# A codec that decodes on the host, and one without maps; the others take the same ways, and are
# slow to compile.
QUICK = ("pifpaf", "yolox_pose")
ALL = (*EXPERIMENTS, *UNTRAINED)
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ALL]
# Drawn weights have people whose probability exceeds the tiny thresholds of these.
FINDS = {"cid": 3, "rtmo": 3, "yolox_pose": 3}
SCENES = SyntheticScenes(3, 0, (64, 96), people=2).open().samples(range(3))["image"]


def invoke(*arguments, status=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


@cache
def trained(name):
    model = estimator(name)
    return Trained(Path(name), model, drawn.variables(model.model, model.input_hw), None)


@cache
def pipeline(name):
    return Pipeline(trained(name), options=Options(batch_size=2))


@pytest.fixture
def loads(monkeypatch):
    """A function that makes a name load a model with drawn weights."""

    def use(name):
        monkeypatch.setattr(predict_module, "load_pose", lambda *_, **__: trained(name))
        monkeypatch.setattr(export_module, "load", lambda *_, **__: trained(name))

    return use


@pytest.mark.parametrize("name", NAMES)
def test_prediction_tracking_and_demo(name, loads, tmp_path):
    loads(name)
    people = pipeline(name)(SCENES[0])
    if name in FINDS:
        assert len(people) == FINDS[name]
    assert people.keypoints.shape == (len(people), 17, 2) and np.isfinite(people.keypoints).all()
    save_image(tmp_path / "scene.png", SCENES[0])
    write_video(tmp_path / "video.mp4", list(SCENES))
    common = ("--from", name, "--batch-size", 2)
    maps = ("--heatmaps",) if has_maps(trained(name).codec) else ()
    said = invoke("predict", tmp_path / "scene.png", "--out", tmp_path / "image", *common, *maps)
    # Everything is a person for these thresholds: more than the three rows of the codec hold.
    assert ("further people are left out" in said) == (len(people) == 3)
    content = json.loads((tmp_path / "image" / "predictions.json").read_text())
    found = content["photos"][0]["people"]
    assert len(found) == len(people)
    for person, expected in zip(found, people.keypoints, strict=True):
        assert tuple(person["keypoints"]) == COCO17.keypoints
        places = [(point["x"], point["y"]) for point in person["keypoints"].values()]
        np.testing.assert_allclose(places, expected, atol=0.5)
    if maps:
        assert (tmp_path / "image" / "heatmaps" / "scene.png").is_file()
    else:
        told = invoke(
            *("predict", tmp_path / "scene.png", "--out", tmp_path / "no", *common, "--heatmaps"),
            status=2,
        )
        assert "gives coordinates, not heatmaps" in told
    invoke("predict", tmp_path / "video.mp4", "--out", tmp_path / "video", *common, "--track")
    frames = json.loads((tmp_path / "video" / "predictions.json").read_text())["frames"]
    assert len(frames) == 3
    ids = {person["track_id"] for frame in frames for person in frame["people"]}
    assert ids or name not in FINDS
    session = DemoSession(pipeline(name), Limits(), tmp_path, {"models": {"pose": name}})
    shown = session.image(tmp_path / "scene.png")
    assert shown.count == len(people) and shown.draw(0.3).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_an_export_finds_the_same_people(name, loads, tmp_path):
    loads(name)
    out = tmp_path / "export"
    if name == "pifpaf":
        told = invoke("export", name, "--to", "stablehlo", "--out", out, "--no-check", status=2)
        assert "decodes outside the compiled program" in told
        return
    pytest.importorskip("onnxruntime")
    invoke("export", name, "--to", "onnx", "--out", out, "--no-check")
    (file,) = (path for path in out.iterdir() if path.suffix != ".json")
    height, width = trained(name).estimator.input_hw
    image = np.zeros((1, height, width, 3), np.uint8)
    image[0, : min(64, height), : min(96, width)] = SCENES[0, :height, :width]
    found = export.load(file)(image)
    program = trained(name).estimator.program(trained(name).variables)
    expected = program.function(image)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)
    there = np.asarray(expected["scores"]) > 0
    away = np.abs(np.asarray(found["keypoints"]) - np.asarray(expected["keypoints"]))[there]
    # Drawn maps are so flat that a highest pixel can be another one.
    assert (away < 1e-2).mean() > 0.9 if away.size else True


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_training_is_resumed_and_evaluated(name, tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(f"from tiny_crowd import EXPERIMENTS\n\nget_config = EXPERIMENTS[{name!r}]\n")
    run = tmp_path / "run"
    invoke("train", recipe, "--workdir", run)
    invoke("train", recipe, "--workdir", run, "--set", "steps=4")
    assert "AP" in invoke("eval", run)
    save_image(tmp_path / "scene.png", SCENES[0])
    invoke("predict", tmp_path / "scene.png", "--from", run, "--out", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert content["model"]["step"] == 4


def test_names():
    assert set(QUICK) <= set(ALL) and {*YOLO, *QUERIES} == set(UNTRAINED)
