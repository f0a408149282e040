"""`jaxpose bench` on tiny recipes: what it counts, and how it refuses."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.bench.prediction import PredictionFigures
from jaxpose.cli.bench import has_no_weights
from jaxpose.cli.main import app
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation
from jaxpose.download.fetch import place_of
from jaxpose.hub.addresses import address_for
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import open_media
from jaxpose.models.published.catalogue import find
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.skeletons import COCO17

TINY = str(Path(__file__).resolve().parents[1] / "tiny.py")


def bench(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("step", "coco_vitpos_b"), ["coco_vitpose_b"]),
        (("step", TINY, "--batch-size", 9), ["batch_size = 9", "8 or 16"]),
        (("step", TINY, "--mesh", "data=3"), ["does", "not fit 8 device(s)"]),
        (("step", "h36m_mlp"), ["on images"]),
        (("step", TINY, "--set", "batchsize=3"), ["batch_size"]),
        (("data", "coco_vitpose_b"), ["data/coco_train"]),
        (("eval", "coco_vitpose_b"), ["data/coco_val"]),
        (("eval", TINY, "--batch-size", 3), ["evaluation.batch_size = 3"]),
        (("predict", "vitpos-b"), ["vitpose-b"]),
    ],
)
def test_bad_input_is_a_sentence(arguments, words):
    result = bench(*arguments)
    assert result.exit_code == 2
    message = " ".join(result.output.split())
    assert message.startswith("Error: ") and "Traceback" not in message
    for word in words:
        assert word in message


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    rng = np.random.default_rng(0)
    images = []
    for number in range(6):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (64, 48, 3), np.uint8))
        person = InstanceAnnotation(
            annotation_id=number,
            keypoints=rng.uniform(8, 40, (17, 2)).astype(np.float32),
            visible=np.full(17, 2, np.uint8),
            box_xywh=np.array([4.0, 4.0, 40.0, 56.0], np.float32),
            area=1000.0,
        )
        images.append(ImageAnnotation(path, path.name, number, (person,), number, (64, 48)))
    write_dataset(
        folder / "set",
        name="six",
        splits={"val": images},
        skipped={},
        skeleton=COCO17,
        canvas=Canvas(hw=(96, 72)),
        sources={},
        processes=1,
    )
    return folder / "set"


def test_the_input_path_is_measured_stage_by_stage(dataset, monkeypatch):
    # TensorFlow takes seconds to import; its stream has tests of its own.
    monkeypatch.setattr("jaxpose.data.pipeline.stream", lambda *a, **k: iter(int, 1))
    result = bench("data", dataset, "--split", "val", "--batch-size", 4, "--rounds", 2,
                   "--seconds", 0, "--json", "-")  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    stages = {stage["stage"]: stage for stage in figures["stages"]}
    assert list(stages) == [
        "choose indices", "read records", "parse numbers", "decode JPEG to canvas",
        "all: batch of canvases", "all: stream by tf.data", "transfer to device",
        "gather on device", "draw synthetic people",
    ]  # fmt: skip
    assert figures["cores"] == 1 and figures["canvas_hw"] == [96, 72] and figures["people"] == 6
    for stage in stages.values():
        rate = stage["samples_per_second"]
        assert 0 < rate["lowest"] <= rate["median"] <= rate["highest"]
    assert "stage" in result.stderr and "stage" not in result.stdout.splitlines()[0]


@pytest.mark.slow
def test_an_evaluation_is_measured_stage_by_stage(tmp_path):
    file = tmp_path / "eval.json"
    result = bench("eval", TINY, "--people", 9, "--rounds", 1, "--no-flip-test",
                   "--set", "model.backbone.depth=1", "--json", file)  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert [stage["stage"] for stage in figures["stages"]] == [
        "read samples", "transfer to device", "crop", "forward", "forward + flip",
        "decode keypoints",
    ]  # fmt: skip
    assert (figures["people"], figures["recompilations"]) == (9, 0)
    assert 0 < figures["score_seconds"] < figures["seconds"]
    assert figures["metric"] == "CocoAP" and not figures["flip_test"]


def test_prediction_on_a_drawn_film_is_shown(tmp_path, monkeypatch):
    sent = []

    def canned(pipeline, source, lines, *, boxes, draw):
        sent.append((pipeline.predictor.batch_size, boxes(SimpleNamespace(index=3)).shape, draw))
        sent.append(sum(1 for _ in open_media(source)))
        stages = StageTimer()
        stages.add("pose", 8, 0.5)
        return PredictionFigures(stages, 4, 8, 2.0, 3.0, [100.0, 101.0], 1, 0)

    monkeypatch.setattr("jaxpose.bench.prediction.measure_prediction", canned)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    file = tmp_path / "predict.json"
    result = bench("predict", "rtmpose-t", "--frames", 4, "--people", 2, "--batch-size", 3,
                   "--json", file)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert sent == [(3, (2, 4), False), 4]
    figures = json.loads(file.read_text())
    assert figures["stages"]["pose"] == {"items": 8, "seconds": 0.5}
    assert (figures["frames_per_second"], figures["people_per_second"]) == (2.0, 4.0)
    assert "1, then 0" in result.output
    assert figures["weights"] == "random" and "random; the time is the same" in result.output


def test_weights_that_are_here_are_used(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert has_no_weights("rtmpose-t") and not has_no_weights("jaxpose-small")
    place = place_of(address_for(find("rtmpose-t")))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    digits = find("rtmpose-t").weights.sha256 or address_for(find("rtmpose-t")).sha256
    place.with_name(f"{place.name}.sha256").write_text(f"{digits:0<64}  {place.name}\n")
    assert not has_no_weights("rtmpose-t")


def test_crowds_show_the_time_beside_the_number_of_people(tmp_path, monkeypatch):
    seen = []

    def canned(pipeline, source, lines, *, boxes=None, draw=False):
        assert boxes is None  # a model of whole images needs none
        seen.append(pipeline.whole_images)
        return PredictionFigures(StageTimer(), 4, 8, 2.0, 3.0, [], 1, 0)

    monkeypatch.setattr("jaxpose.bench.prediction.measure_prediction", canned)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    file = tmp_path / "crowds.json"
    result = bench("predict", "yolov8n-pose", "--crowds", "1,20", "--frames", 4, "--json", file)
    assert result.exit_code == 0, result.output
    assert seen == [True, True] and "500.0" in result.output
    crowds = json.loads(file.read_text())["crowds"]
    assert [(row["people"], row["milliseconds"]) for row in crowds] == [(1, 500.0), (20, 500.0)]
    assert {row["cpu_milliseconds"] for row in crowds} == {750.0} and "750.0" in result.output
    for wrong in ("0", "1,x", "51"):
        result = bench("predict", "yolov8n-pose", "--crowds", wrong)
        assert result.exit_code == 2 and "numbers from 1 to 50" in " ".join(result.output.split())
