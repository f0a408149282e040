"""`jaxpose score` against pycocotools, and every file that cannot be scored."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
from coco_problem import detections, people, pycocotools_stats
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.metrics.oks import METRICS
from jaxpose.skeletons import COCO17, CROWDPOSE14


@pytest.fixture
def files(tmp_path):
    """Names of an annotation file with crowds and unlabelled people, and of good results."""
    document = people(3, images=20, count=60)
    document["categories"][0]["keypoints"] = list(COCO17.keypoints)
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    truth.write_text(json.dumps(document))
    results.write_text(json.dumps(detections(document, 4, 200)))
    return truth, results


def score(results, truth, *options):
    arguments = [str(results), "--annotations", str(truth), *map(str, options)]
    return CliRunner().invoke(app, ["score", *arguments])


def figures(results, truth, *options) -> dict:
    run = score(results, truth, *options, "--json")
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


def refused(results, truth, *options) -> str:
    run = score(results, truth, *options)
    assert run.exit_code == 2, run.output
    return " ".join(run.output.split())


def change(path, edit) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(edit(content) or content))


def test_figures_equal_pycocotools(files):
    truth, results = files
    stats = pycocotools_stats(json.loads(truth.read_text()), json.loads(results.read_text()))
    found = figures(results, truth)["metrics"]
    np.testing.assert_allclose([found[name] for name in METRICS], stats, rtol=0, atol=1e-9)
    assert 0 < found["mean OKS"] < 1


@pytest.mark.parametrize(
    ("truth", "results"),
    [
        ("fastercoco_keypoints/gt_dataset.json", "fastercoco_keypoints/dt_dataset.json"),
        (
            "xtcoco_examples/annotations/example_coco_val.json",
            "xtcoco_examples/annotations/example_coco_preds.json",
        ),
        ("coco_val538_ann/person_keypoints_val2017_538imgs.json", None),
    ],
)
def test_shared_files_equal_pycocotools(shared, tmp_path, truth, results):
    truth = shared / "data/metrics" / truth
    if not truth.is_file():
        pytest.skip(f"{truth.name} is not among the shared data")
    document = json.loads(truth.read_text())
    if results is None:
        results = tmp_path / "results.json"
        results.write_text(json.dumps(detections(document, 5, 3000)))
    else:
        results = shared / "data/metrics" / results
    stats = pycocotools_stats(document, json.loads(results.read_text()))
    found = figures(results, truth, "--metric", "coco")["metrics"]
    np.testing.assert_allclose([found[name] for name in METRICS], stats, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "ap"),
    # Of this code, to notice a change; xtcocotools itself was not run.
    [("crowdpose", 0.78772), ("wholebody", 0.64208)],
)
def test_the_skeleton_picks_the_metric(shared, name, ap):
    folder = shared / "data/metrics/xtcoco_examples/annotations"
    if not folder.is_dir():
        pytest.skip("the examples of xtcocotools are not among the shared data")
    found = figures(folder / f"example_{name}_preds.json", folder / f"example_{name}_val.json")
    assert found["metrics"]["AP"] == pytest.approx(ap, abs=1e-5)
    assert {"crowdpose": "AP_hard", "wholebody": "face/AP"}[name] in found["metrics"]


def test_a_table_of_keypoints_and_pck(files):
    truth, results = files
    run = score(results, truth, "--per-keypoint", "--metric", "pck,pck@0.1,nme", "--metric", "oks")
    assert run.exit_code == 0, run.output
    for word in ("PCK@0.1", "NME", "mean OKS (8+)", "left_wrist", "labelled"):
        assert word in run.stdout
    rows = figures(results, truth, "--per-keypoint")["keypoints"]
    assert [row["name"] for row in rows] == list(COCO17.keypoints)


def test_head_boxes_of_posetrack_are_the_unit_of_pckh(tmp_path):
    points = np.stack([np.linspace(10, 90, 14)] * 2, axis=1)
    flat = np.concatenate([points, np.full((14, 1), 2.0)], axis=1)
    person = {"id": 1, "image_id": 5, "category_id": 1, "bbox": [0, 0, 100, 100], "area": 5e3}
    person |= {"keypoints": flat.ravel().tolist(), "bbox_head": [0, 0, 30, 40]}
    category = {"id": 1, "keypoints": list(CROWDPOSE14.keypoints)}
    document = {"images": [{"id": 5}], "annotations": [person], "categories": [category]}
    # Half of the head size 0.6 * 50 is 15 pixels: one keypoint is 14 off, one is 16 off.
    moved = flat.copy()
    moved[0, 0] += 14
    moved[1, 0] += 16
    result = {"image_id": 5, "category_id": 1, "keypoints": moved.ravel().tolist(), "score": 1}
    (tmp_path / "t.json").write_text(json.dumps(document))
    (tmp_path / "r.json").write_text(json.dumps([result]))
    found = figures(tmp_path / "r.json", tmp_path / "t.json", "--metric", "pckh")["metrics"]
    assert found["PCKh"] == pytest.approx(13 / 14)


def test_doubled_results_and_images_without_results_are_remarked(files):
    truth, results = files
    change(results, lambda entries: entries[:5] + entries[:2])
    remarks = figures(results, truth)["remarks"]
    assert "2 of the 7 results" in remarks[0] and "false positive" in remarks[0]
    assert "images with people" in remarks[1]
    stats = pycocotools_stats(json.loads(truth.read_text()), json.loads(results.read_text()))
    assert figures(results, truth)["metrics"]["AP"] == pytest.approx(stats[0], abs=1e-9)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda entries: entries.clear(), "is an empty list"),
        (lambda entries: {"photos": entries}, "--format coco"),
        (lambda entries: [{**e, "image_id": -1 - i} for i, e in enumerate(entries)], "none of"),
        (lambda entries: entries[0].update(image_id=10**6), "1 of their"),
        (lambda entries: entries[0].update(category_id=7), "category_id"),
        (
            lambda entries: [{**e, "keypoints": e["keypoints"][:42]} for e in entries],
            "14 keypoints",
        ),
        (lambda entries: entries[3].update(keypoints=entries[3]["keypoints"][:42]), "entry 3"),
        (lambda entries: entries[3]["keypoints"].__setitem__(0, float("nan")), "NaN or infinite"),
        (lambda entries: entries[3].update(score=None), "NaN or infinite"),
        (lambda entries: [{"image_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], "--boxes"),
        (lambda entries: ["a person"], "must be an object"),
    ],
)
def test_results_that_cannot_be_scored(files, edit, words):
    truth, results = files
    change(results, edit)
    message = refused(results, truth)
    assert words in message and "results.json" in message


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda document: document["annotations"].clear(), "no annotated person"),
        (lambda document: {**document, "annotations": 0}, "no list 'annotations'"),
        (lambda document: [1, 2], "is a list, as results are"),
        (lambda document: [a.pop("keypoints") for a in document["annotations"]] and None, "COCO's"),
        (lambda document: document["annotations"][2].pop("bbox") and None, "has no 'bbox'"),
    ],
)
def test_annotations_that_cannot_be_used(files, edit, words):
    truth, results = files
    change(truth, edit)
    message = refused(results, truth)
    assert words in message and "truth.json" in message


def test_files_and_names_that_are_wrong(files, tmp_path):
    truth, results = files
    assert "does not exist" in refused(tmp_path / "no.json", truth)
    assert "is a folder" in refused(results, tmp_path)
    assert "Did you mean 'crowdpose'?" in refused(results, truth, "--metric", "crowdpos")
    assert "must be a number" in refused(results, truth, "--metric", "pck@x")
    assert "skeleton 'lsp14' has 14" in refused(results, truth, "--skeleton", "lsp14")
    results.write_text("{")
    assert "is not valid JSON" in refused(results, truth)


def test_keypoints_without_names_and_sigmas(files):
    truth, results = files
    change(truth, lambda document: document["categories"][0].pop("keypoints") and None)
    assert "give --skeleton" in refused(results, truth)
    assert figures(results, truth, "--skeleton", "coco17")["metrics"]["AP"] > 0
    names = [f"point {k}" for k in range(17)]
    change(truth, lambda document: document["categories"][0].update(keypoints=names))
    assert set(figures(results, truth)["metrics"]) == {"NME", "EPE"}
    assert "no OKS sigmas" in refused(results, truth, "--metric", "coco")


def test_no_jax_is_needed():
    code = "import sys, jaxpose.cli.score; print('jax' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_files_stay_as_they_are(files):
    truth, results = files
    before = copy.deepcopy([path.read_bytes() for path in files])
    figures(results, truth)
    assert before == [path.read_bytes() for path in files]
