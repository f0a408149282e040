"""`jaxpose bench` on tiny recipes: what it counts, and how it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import load_recipe
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas, Person, Photo
from jaxpose.scaling.training_cost import training_cost
from jaxpose.skeletons import COCO17

TINY = str(Path(__file__).resolve().parents[1] / "tiny.py")


def bench(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "step.json"
    result = bench("step", TINY, "--steps", 3, "--mesh", "data=4,fsdp=2", "--set", "ema_decay=None",
                   "--set", "model.backbone.depth=1", "--json", file)  # fmt: skip
    assert result.exit_code == 0, result.output
    return json.loads(file.read_text()), result.output


def test_a_step_is_counted_by_its_trace_and_by_xla(step):
    figures, shown = step
    experiment = load_recipe(TINY)
    model = experiment.model.clone(backbone=experiment.model.backbone.clone(depth=1))
    cost = training_cost(model, (64, 48))
    assert figures["model_flops"] == 8 * cost.flops
    assert figures["parameters"] == cost.parameters
    # XLA adds norms, softmax, augmentation and the optimiser.
    assert 0.8 < figures["xla_flops"] / figures["model_flops"] < 4
    assert figures["mfu"] == pytest.approx(
        figures["model_flops"]
        / figures["seconds"]["median"]
        / 8
        / figures["ceiling"]["flops"]["median"]
    )
    assert "model FLOPs" in shown and "XLA's FLOPs" in shown


def test_a_step_is_compiled_once_and_runs_on_the_mesh(step):
    figures, shown = step
    assert figures["recompilations"] == 0 and figures["steps"] == 3
    assert figures["mesh"] == {"data": 4, "fsdp": 2, "tensor": 1}
    rate = figures["images_per_second"]
    assert rate["lowest"] <= rate["median"] == 8 / figures["seconds"]["median"] <= rate["highest"]
    # State: parameters and Adam's two moments in float32, of which small ones are on each device.
    assert figures["memory_bytes"] > 3 * 4 * figures["parameters"] / 8
    assert figures["memory_by"] == "compiler" and figures["datasheet_mfu"] is None
    assert "no figure for bfloat16" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("step", "coco_vitpos_b"), ["coco_vitpose_b"]),
        (("step", TINY, "--batch-size", 9), ["batch_size = 9", "8 or 16"]),
        (("step", TINY, "--mesh", "data=3"), ["does", "not fit 8 device(s)"]),
        (("step", "h36m_mlp"), ["on pictures"]),
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
    photos = []
    for number in range(6):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (64, 48, 3), np.uint8))
        person = Person(
            annotation_id=number,
            keypoints=rng.uniform(8, 40, (17, 2)).astype(np.float32),
            visible=np.full(17, 2, np.uint8),
            box_xywh=np.array([4.0, 4.0, 40.0, 56.0], np.float32),
            area=1000.0,
        )
        photos.append(Photo(path, path.name, number, (person,), number, (64, 48)))
    write_dataset(
        folder / "set",
        name="six",
        splits={"val": photos},
        skipped={},
        skeleton=COCO17,
        canvas=Canvas(hw=(96, 72)),
        sources={},
        processes=1,
    )
    return folder / "set"


def test_the_input_path_is_measured_stage_by_stage(dataset):
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
    assert figures["metric"] == "oks" and not figures["flip_test"]


def test_prediction_is_measured_on_a_drawn_film(tmp_path):
    file = tmp_path / "predict.json"
    result = bench("predict", "rtmpose-t", "--frames", 4, "--people", 1, "--batch-size", 1,
                   "--no-flip-test", "--json", file)  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert (figures["frames"], figures["people"], figures["later"]) == (4, 4, 0)
    assert figures["stages"]["pose"]["items"] == 4
    assert figures["people_per_second"] == pytest.approx(4 / figures["seconds"])
