"""Default models by quality, models in the package, and names in every command."""

import json

import cv2
import drawn
import numpy as np
import pytest
from typer.testing import CliRunner

import jaxpose
from jaxpose.cli.main import app
from jaxpose.codecs.heatmap import msra
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.detect.detector import Detections, Detector
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.hub import catalogue, quality, shipped
from jaxpose.hub.load import load_detector, load_pose
from jaxpose.models import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.catalogue import find
from jaxpose.models.vit import ViT
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.pipeline import Options, Pipeline
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.estimator import TopDownEstimator

VIT = ViT(input_hw=(64, 48), dim=16, depth=1, heads=2, mlp_hidden=32, drop_path=0.0)
MODEL = PoseModel(VIT, DeconvHead(17, (8, 8)))
BOX = Detections(np.array([[20.0, 10.0, 90.0, 100.0]]), np.array([0.9]))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A machine without a network, whose cache is empty; the folder is the current one."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("JAXPOSE_MIRROR", "http://127.0.0.1:1")
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A pose model and a finder as they are in the package, with drawn weights."""
    folder = tmp_path_factory.mktemp("shipped")
    estimator = to_json(TopDownEstimator(MODEL, msra((64, 48)), COCO17))
    card = Card(shipped.POSE, "jaxpose", "crops", COCO17.keypoints)
    variables = drawn.variables(MODEL, (64, 48))
    save_release(
        folder / shipped.POSE, variables, {"name": shipped.POSE, "estimator": estimator}, card
    )
    finder = find("yolox-nano").model()
    detector = Detector(finder, drawn.variables(finder, (64, 64)), (64, 64), name=shipped.FINDER)
    detector.save(folder / shipped.FINDER)
    return folder


@pytest.fixture
def inside(offline, package, monkeypatch):
    monkeypatch.setattr(shipped, "_FOLDER", package)
    return offline


def test_pairs_are_published_names_with_checksums():
    for name, pair in quality.PAIRS.items():
        pose, detector = find(pair.pose), find(pair.detector)
        assert (pose.kind, detector.kind) == ("pose", "detector"), name
        assert pose.weights.sha256 and detector.weights.sha256 and pose.commercial
    assert quality.pair_of(None) == quality.PAIRS["balanced"]
    with pytest.raises(InputError, match=r"choose one of fast, balanced, accurate\. Did you mean"):
        quality.pair_of("acurate")


def test_a_quality_loads_its_pair(monkeypatch):
    asked = []

    def load(name, **_):
        asked.append(name)
        raise InputError("asked")

    monkeypatch.setattr(quality, "load_pose", load)
    for ask in (
        lambda: Pipeline(),
        lambda: Pipeline(quality="accurate"),
        lambda: Pipeline(options=Options(quality="fast")),
        lambda: Pipeline.load(quality="accurate"),
    ):
        with pytest.raises(InputError, match="asked"):
            ask()
    assert asked == ["rtmpose-m", "rtmpose-l", "rtmpose-t", "rtmpose-l"]
    with pytest.raises(InputError, match="quality"):
        Options(quality="best")


def test_without_a_network_and_models_in_the_package_the_message_says_what_to_do(offline):
    message = (
        r"weights of rtmpose-m are not in the cache: cannot reach .*63eb25f7.* put the file at "
        r".*JAXPOSE_MIRROR.*no model of its own \(jaxpose-small\).*--from takes"
    )
    with pytest.raises(Unreachable, match=message):
        Pipeline()
    with pytest.raises(InputError, match="no published model of that name"):
        jaxpose.load("jaxpose-small")


def test_predict_with_nothing_else_works_without_a_network(inside, monkeypatch):
    """The models in the package take the place of the default ones, and a note says so."""
    load = quality.load_detector

    def load_quickly(where):
        """The finder in the package would have to be compiled."""
        return (lambda images: [BOX] * len(images)) if "/" in where else load(where)

    monkeypatch.setattr(quality, "load_detector", load_quickly)
    cv2.imwrite("photo.png", np.full((120, 160, 3), 90, np.uint8))
    result = CliRunner().invoke(app, ["predict", "photo.png", "--no-flip-test"])
    assert result.exit_code == 0, result.output
    notes = " ".join(result.stderr.split())
    assert "jaxpose-small, a smaller model that is part of jaxpose, is used in place" in notes
    assert "in place of rtmdet-nano-person" in notes
    content = json.loads((inside / "out" / "predictions.json").read_text())
    assert content["model"]["run"] == "jaxpose-small" and content["detector"] == "jaxpose-finder"
    assert (inside / "out" / "photo.png").is_file() and len(content["photos"][0]["people"]) == 1


def test_models_in_the_package_have_names(inside, capsys):
    assert load_pose("jaxpose-small").model == MODEL
    assert load_detector("jaxpose-finder").name == "jaxpose-finder"
    assert jaxpose.list_models()[:2] == ["jaxpose-finder", "jaxpose-small"]
    assert jaxpose.list_models("small", kind="pose") == ["jaxpose-small"]
    with pytest.raises(InputError, match=r"jaxpose-finder is a detector\. Pass it with --detector"):
        load_pose("jaxpose-finder")
    with pytest.raises(InputError, match="Did you mean 'jaxpose-small'"):
        jaxpose.load("jaxpos-small")
    listed = CliRunner().invoke(app, ["models", "jaxpose", "--json"]).stdout
    rows = {row["name"]: row for row in json.loads(listed)}
    assert rows["jaxpose-small"]["task"] == "body" and rows["jaxpose-finder"]["takes"] == "64x64"
    assert all(row["status"] == "here" for row in rows.values())
    assert "jaxpose-small" in CliRunner().invoke(app, ["models", "jaxpose-small"]).stdout
    # A folder of that name wins.
    (inside / "jaxpose-small").mkdir()
    (inside / "jaxpose-small" / "model.safetensors").touch()
    assert catalogue.resolve("jaxpose-small") == "jaxpose-small"
    assert "is a published model, too; the file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quality", "fast", "--from", "rtmpose-t"], "--quality chooses the default models, and"),
        (["--set", "quality=fast", "--from", "rtmpose-t"], "--quality chooses the default models"),
        (
            ["--from", "hrnet-w32-udp-regress"],
            "jaxpose cannot run hrnet-w32-udp-regress yet. Its head gives a heatmap and two",
        ),
        (["--from", "hrnet-w32-udp-regres"], "Did you mean 'hrnet-w32-udp-regress'"),
        (["--from", "rtmdet-nano-person"], "is a detector. Pass it with --detector"),
        (["--detector", "rtmpose-t"], "is a model for keypoints in images"),
    ],
)
def test_predict_refuses_in_a_sentence(inside, arguments, message):
    cv2.imwrite("photo.png", np.full((120, 160, 3), 90, np.uint8))
    result = CliRunner().invoke(app, ["predict", "photo.png", *arguments])
    assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output


def test_a_quality_beside_a_model_is_refused(inside):
    with pytest.raises(InputError, match="chooses the default models, and a pose model is given"):
        Pipeline.load("jaxpose-small", quality="fast")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "photo.png", "--from", "NAME"],
        ["predict", "photo.png", "--from", "jaxpose-small", "--detector", "DETECTOR"],
        ["predict", "photo.png", "--from", "jaxpose-small", "--lift", "LIFTER"],
        ["export", "NAME", "--out", "exported"],
        ["bench", "predict", "rtmpose-t", "--detector", "DETECTOR"],
    ],
)
def test_commands_take_names(inside, monkeypatch, arguments):
    names = {"NAME": "rtmpose-s", "DETECTOR": "yolox-tiny", "LIFTER": "videopose3d-27"}
    fetched = []

    def fetch(record):
        fetched.append(record.name)
        raise InputError("fetched")

    monkeypatch.setattr(catalogue, "_fetched", fetch)
    cv2.imwrite("photo.png", np.full((120, 160, 3), 90, np.uint8))
    for word, name in names.items():
        arguments = [argument.replace(word, name) for argument in arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "fetched" in result.output, result.output
    assert fetched[0] in arguments[-1] or fetched[0] in arguments
