"""`jaxpose eval` of models on annotated images and prepared data, with a model that finds dots."""

import fnmatch
import json
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from coco_problem import pycocotools_stats
from dots import SKELETON, Dots, codec, draw_dots
from typer.testing import CliRunner

from jaxpose.cli import evaluate as evaluate_module
from jaxpose.cli import evaluate_model as model_module
from jaxpose.cli import predict as predict_module
from jaxpose.cli.main import app
from jaxpose.data.instances import letterbox
from jaxpose.geometry import apply_affine
from jaxpose.hub.load import Trained
from jaxpose.metrics.oks import METRICS
from jaxpose.models.published.catalogue import records
from jaxpose.results.people import People
from jaxpose.tasks.topdown.estimator import TopDownEstimator

ROOT = Path(__file__).resolve().parents[2]
SIGMA = 0.05
BOXES = [[40, 60, 96, 128], [170, 40, 96, 128]]
SKELETON_FILE = f"""
name = "dots"
keypoints = {list(SKELETON.keypoints)}
sigmas = "uniform:{SIGMA}"
"""


def dots_in(box) -> list[tuple[float, float]]:
    x, y, w, h = box
    return [(x + 0.8 * w, y + 0.3 * h), (x + 0.3 * w, y + 0.7 * h)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images with two people each, `truth.json` and `dots.toml`; the model is `model`."""
    estimator = TopDownEstimator(Dots(), codec(), SKELETON)

    def load(where, checkpoint, **_):
        return Trained(tmp_path / "model", estimator, {}, None)

    monkeypatch.setattr(evaluate_module, "load", load)
    (tmp_path / "dots.toml").write_text(SKELETON_FILE)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in (1, 2, 3):
        places = [place for box in BOXES for place in dots_in(box)]
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), draw_dots((240, 320), places, 5))
        images.append({"id": number, "file_name": f"{number}.png", "width": 320, "height": 240})
        for box in BOXES:
            # Annotators are a few pixels off.
            points = np.array(dots_in(box)) + rng.normal(scale=3, size=(2, 2))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": 6000,
                    "num_keypoints": 2,
                    "keypoints": np.hstack([points, [[2], [2]]]).ravel().tolist(),
                }
            )
    category = {"id": 1, "name": "person", "keypoints": list(SKELETON.keypoints)}
    document = {"images": images, "annotations": annotations, "categories": [category]}
    (tmp_path / "truth.json").write_text(json.dumps(document))
    return tmp_path


def invoke(folder, *arguments):
    options = ["--out", folder / "out", "--skeleton", folder / "dots.toml", "--no-flip-test"]
    return CliRunner().invoke(app, ["eval", "model", *map(str, [*arguments, *options])])


def on_images(folder, *arguments):
    files = ["--data", folder / "images", "--annotations", folder / "truth.json"]
    return invoke(folder, *files, *arguments)


def report(folder) -> dict:
    return json.loads((folder / "out/report.json").read_text())


def stats(folder) -> np.ndarray:
    return pycocotools_stats(
        json.loads((folder / "truth.json").read_text()),
        json.loads((folder / "out/results.json").read_text()),
        (SIGMA, SIGMA),
    )


def test_annotated_boxes(folder):
    result = on_images(folder)
    assert result.exit_code == 0, result.output
    assert "ground truth, clipped" in result.output and "left_dot" in result.output
    assert "Given 6 people = done 6 + left out 0." in result.output
    found = report(folder)["metrics"]
    np.testing.assert_allclose([found[n] for n in METRICS], stats(folder), rtol=0, atol=1e-9)
    assert 0.5 < found["mean OKS"] < 1
    names = {path.name for path in (folder / "out").iterdir()}
    images = {"keypoint_errors.png", "worst.png"}
    assert names == {"report.json", "results.json", "keypoints.json", *images}
    rows = json.loads((folder / "out/keypoints.json").read_text())["keypoints"]
    assert [row["labelled"] for row in rows] == [6, 6]
    # The same file, scored alone.
    options = ["--skeleton", str(folder / "dots.toml"), "--json"]
    files = [str(folder / "out/results.json"), "--annotations", str(folder / "truth.json")]
    again = CliRunner().invoke(app, ["score", *files, *options])
    assert json.loads(again.stdout)["metrics"] == found


def test_boxes_of_a_file(folder):
    boxes = [
        {"image_id": image, "category_id": 1, "bbox": box, "score": score}
        for image in (1, 2, 3)
        for box, score in ((BOXES[0], 0.9), (BOXES[0], 0.8), ([0, 0, 0, 0], 0.7))
    ]
    (folder / "boxes.json").write_text(json.dumps(boxes))
    result = on_images(folder, "--boxes", folder / "boxes.json")
    assert result.exit_code == 1, result.output
    line = "given 9 boxes = done 6 + left out 3 (box cannot be used: 3)."
    assert line in result.output and "has no area" in result.output
    assert report(folder)["counts"][1]["left_out"] == {"box cannot be used": 3}
    # The second box gives the same person, which NMS drops.
    assert len(json.loads((folder / "out/results.json").read_text())) == 3
    np.testing.assert_allclose(report(folder)["metrics"]["AP"], stats(folder)[0], atol=1e-9)
    result = on_images(folder, "--boxes", folder / "boxes.json", "--nms", 1)
    assert len(json.loads((folder / "out/results.json").read_text())) == 6


@pytest.mark.parametrize("scored", [False, True], ids=["annotated", "detected"])
def test_predict_writes_what_eval_scores(folder, monkeypatch, scored):
    """Boxes reach beyond the image, and those of detections have scores and duplicates."""
    monkeypatch.setattr(predict_module, "load_pose", evaluate_module.load)
    document = json.loads((folder / "truth.json").read_text())
    document["annotations"][0]["bbox"] = [-20, 30, 156, 158]
    (folder / "truth.json").write_text(json.dumps(document))
    boxes = folder / "truth.json"
    if scored:
        boxes = folder / "boxes.json"
        annotations = document["annotations"]
        found = [{"score": 0.9 - 0.07 * n} | one for n, one in enumerate(annotations)]
        found += [one | {"score": 0.3} for one in found]
        kept = ("image_id", "bbox", "score")
        boxes.write_text(json.dumps([{key: one[key] for key in kept} for one in found]))
    options = ["--nms", 1, "--boxes", boxes] if scored else []
    evaluated = on_images(folder, *options)
    assert evaluated.exit_code == 0, evaluated.output
    arguments = ["--from", "model", "--boxes", boxes, "--out", folder / "predicted", "--no-draw"]
    arguments += ["--no-flip-test", "--format", "coco", "--batch-size", 32]
    result = CliRunner().invoke(app, ["predict", *map(str, [folder / "images", *arguments])])
    assert result.exit_code == 0, result.output
    by_eval = json.loads((folder / "out/results.json").read_text())
    by_predict = json.loads((folder / "predicted/coco_results.json").read_text())
    keys = ("image_id", "category_id", "keypoints", "score")
    assert sorted([one[key] for key in keys] for one in by_eval) == sorted(
        [one[key] for key in keys] for one in by_predict
    )
    figures = [report(folder)["metrics"][name] for name in METRICS]
    of_predict = pycocotools_stats(document, by_predict, (SIGMA, SIGMA))
    np.testing.assert_allclose(figures, of_predict, rtol=0, atol=1e-9)
    assert 0.1 < of_predict[0] < 1


def test_a_detector_end_to_end(folder, monkeypatch):
    def load_detector(where, **options):
        assert options == {"threshold": 0.5}
        found = SimpleNamespace(boxes_xywh=np.array(BOXES, float), scores=np.array([0.9, 0.8]))
        return lambda images: [found]

    monkeypatch.setattr(model_module, "load_detector", load_detector)
    result = on_images(folder, "--detector", "finder", "--min-box-score", 0.5)
    assert result.exit_code == 0, result.output
    assert "detector finder" in result.output and "OKS above 0.9" in result.output
    assert report(folder)["metrics"]["mean OKS"] > 0.5


def test_prepared_data_gives_nearly_the_same(folder):
    on_images(folder)
    direct = report(folder)["metrics"]
    files = ["--annotations", folder / "truth.json", "--images", folder / "images"]
    options = ["--out", folder / "prepared", "--split", "val", "--processes", "1"]
    options += ["--skeleton", folder / "dots.toml", "--canvas", "192x144"]
    made = CliRunner().invoke(app, ["prepare", "coco", *map(str, [*files, *options])])
    assert made.exit_code == 0, made.output
    places = ["--data", folder / "prepared", "--out", folder / "out"]
    result = CliRunner().invoke(app, ["eval", "model", "--no-flip-test", *map(str, places)])
    assert result.exit_code == 0, result.output
    again = report(folder)["metrics"]
    assert again["mean OKS"] == pytest.approx(direct["mean OKS"], abs=0.02)
    assert (folder / "out/worst.png").is_file()


def finder(images, **_):
    """Stands for a predictor of whole images, which finds the dots of the `folder` in canvases."""
    for image, boxes in images:
        assert boxes is None
        matrix = letterbox((240, 320), image.shape[:2])
        points = apply_affine(matrix, np.array([dots_in(box) for box in BOXES], float))
        boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (2, 1))
        yield People(
            SKELETON,
            image.shape[:2],
            points.astype(np.float32),
            np.ones((2, 2), np.float32),
            boxes,
            np.arange(2),
            lost=3,
        )


def test_a_model_of_whole_images_takes_prepared_images(folder, monkeypatch):
    predictor = SimpleNamespace(skeleton=SKELETON, stream=finder)
    trained = SimpleNamespace(
        estimator=SimpleNamespace(takes="images"),
        predictor=lambda **_: predictor,
        directory=folder / "model",
        codec=SimpleNamespace(max_people=2),
        step=None,
    )
    monkeypatch.setattr(evaluate_module, "load", lambda *_, **__: trained)
    on_images(folder)
    direct = report(folder)["metrics"]
    files = ["--annotations", folder / "truth.json", "--images", folder / "images"]
    options = ["--out", folder / "whole", "--split", "val", "--processes", "1"]
    options += ["--skeleton", folder / "dots.toml", "--canvas", "128x192", "--layout", "images"]
    made = CliRunner().invoke(app, ["prepare", "coco", *map(str, [*files, *options])])
    assert made.exit_code == 0, made.output
    places = ["--data", folder / "whole", "--out", folder / "out"]
    result = CliRunner().invoke(app, ["eval", "model", *map(str, places)])
    assert result.exit_code == 0, result.output
    again = report(folder)["metrics"]
    assert again["mean OKS"] == pytest.approx(direct["mean OKS"], abs=1e-3)
    assert again["AP"] == pytest.approx(direct["AP"], abs=1e-6)
    assert (folder / "out/worst.png").is_file()
    assert "codec.max_people is 2" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the data is missing"),
        (["--data", "x", "--boxes", "b.json"], "--boxes is for whole images"),
        (["--annotations", "truth.json"], "give their folder with --data"),
        (["--data", "images", "--annotations", "truth.json", "--split", "val"], "--split is for"),
        (["--data", "images", "--annotations", "no.json"], "does not exist"),
        (["--data", "no", "--annotations", "truth.json"], "folder of images no does not exist"),
        (["--data", "images"], "need the COCO file"),
        (
            ["--data", "images", "--annotations", "truth.json", "--boxes", "other.json"],
            "but for none of the given images",
        ),
        (
            ["--data", "images", "--annotations", "truth.json", "--metric", "crowd"],
            "is none of coco",
        ),
        (
            [
                *("--data", "images", "--annotations", "truth.json"),
                "--boxes",
                "b",
                "--detector",
                "d",
            ],
            "give one of them",
        ),
    ],
)
def test_what_cannot_be_evaluated(folder, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    (folder / "other.json").write_text('[{"image_id": 77, "bbox": [0, 0, 9, 9], "score": 1}]')
    skeleton = ["--skeleton", "dots.toml"] if "--annotations" in arguments else []
    result = CliRunner().invoke(app, ["eval", "model", *arguments, *skeleton])
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())


def test_a_run_takes_boxes_only_with_annotations(folder):
    (folder / "run" / "checkpoints").mkdir(parents=True)
    result = CliRunner().invoke(app, ["eval", str(folder / "run"), "--metric", "oks"])
    assert result.exit_code == 2
    assert "--metric is for images with --annotations" in " ".join(result.output.split())


def test_each_published_score_has_its_command():
    page = (ROOT / ".github/docs/weights.md").read_text().partition("## Scores")[2]
    page = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    patterns = [word for word in re.findall(r"`([^`]+)`", page) if " " not in word]
    scored = [record.name for record in records(None, "pose") if record.score]
    lacking = [n for n in scored if not any(fnmatch.fnmatch(n, p) for p in patterns)]
    assert len(scored) > 50 and not lacking, lacking
