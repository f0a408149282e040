"""Evaluation of any model on annotated images: boxes, scores, duplicates, results."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from coco_problem import people as problem
from coco_problem import pycocotools_stats

from jaxpose.errors import InputError
from jaxpose.metrics.annotated_results import read_annotated, read_results, write_results
from jaxpose.metrics.mean_oks import MeanOKS
from jaxpose.metrics.oks import METRICS, CocoAP
from jaxpose.pipeline.evaluation import ImageFolder, predict_dataset
from jaxpose.results.box_files import read_boxes
from jaxpose.results.people import People, SkippedBox
from jaxpose.skeletons import BLAZEPOSE33, COCO17, LSP14

HW = (480, 640)


class Near:
    """Predictor that gives the annotated person of the most similar box, with noise."""

    def __init__(self, truth, skeleton=COCO17, noise=0.02):
        self.truth, self.skeleton, self.noise = truth, skeleton, noise
        self.codec = SimpleNamespace(input_hw=(64, 48))
        self.padding = 1.25
        self.rng = np.random.default_rng(0)

    def stream(self, items):
        for _, boxes in items:
            boxes = np.asarray(boxes)
            rows = [np.abs(self.truth.box_xywh - box).sum(axis=1).argmin() for box in boxes]
            points = np.zeros((len(boxes), self.skeleton.num_keypoints, 2))
            places = [self.skeleton.index(name) for name in COCO17.keypoints]
            points[:, places] = self.truth.keypoints[rows]
            size = boxes[:, None, 2:]
            points += self.noise * size * self.rng.normal(size=points.shape)
            scores = self.rng.uniform(0, 1, points.shape[:2])
            yield People(
                self.skeleton,
                HW,
                points.astype(np.float32),
                scores.astype(np.float32),
                boxes.astype(np.float32),
                np.arange(len(boxes)),
                (SkippedBox(9, "box 9 has no area"),),
            )


@pytest.fixture
def folder(tmp_path):
    """Images of a COCO document, and their folder."""
    document = problem(2, images=8, count=30)
    document["categories"][0]["keypoints"] = list(COCO17.keypoints)
    for image in document["images"]:
        image["file_name"] = f"{image['id']:012d}.jpg"
        cv2.imwrite(str(tmp_path / image["file_name"]), np.zeros((*HW, 3), np.uint8))
    (tmp_path / "truth.json").write_text(json.dumps(document))
    return ImageFolder(read_annotated(tmp_path / "truth.json"), tmp_path)


def boxes_file(folder, boxes) -> str:
    path = folder.folder / "boxes.json"
    path.write_text(json.dumps(boxes))
    return path


def detections(folder, copies=1):
    """Detected boxes of all annotated people, each `copies` times with falling scores."""
    truth = folder.annotated.truth
    return [
        {"image_id": int(i), "category_id": 1, "bbox": box.tolist(), "score": 0.9 - 0.1 * copy}
        for copy in range(copies)
        for i, box in zip(truth.image_id, truth.box_xywh, strict=True)
    ]


def test_results_with_annotated_boxes_are_pairs(folder):
    annotated = folder.annotated
    predicted = predict_dataset(Near(annotated.truth), folder.with_annotated_boxes(), COCO17)
    counted = ~annotated.truth.ignore
    ids = [entry["annotation_id"] for entry in predicted.results]
    assert sorted(ids) == sorted(annotated.truth.annotation_id[counted])
    people = predicted.people(annotated)
    assert 0.5 < MeanOKS()(people).figures["mean OKS"] < 1
    first = predicted.results[0]
    scores = np.array(first["keypoints"]).reshape(17, 3)[:, 2]
    assert first["score"] == pytest.approx(scores[scores > 0.2].mean(), abs=1e-3)
    assert "box 9 has no area" in predicted.skipped[0]


def test_figures_are_those_of_pycocotools_on_the_written_file(folder, tmp_path):
    boxes = read_boxes(boxes_file(folder, detections(folder)))
    near = Near(folder.annotated.truth, noise=0.06)
    predicted = predict_dataset(near, folder.with_boxes(boxes), COCO17)
    write_results(tmp_path / "results.json", predicted.results)
    stats = pycocotools_stats(
        json.loads((tmp_path / "truth.json").read_text()),
        json.loads((tmp_path / "results.json").read_text()),
    )
    assert 0.1 < stats[0] < 0.95
    for people in (
        predicted.people(folder.annotated),
        read_results(tmp_path / "results.json", folder.annotated)[0],
    ):
        figures = CocoAP()(people)
        np.testing.assert_allclose([figures[n] for n in METRICS], stats, rtol=0, atol=1e-9)


def test_the_better_of_two_equal_people_stays(folder):
    boxes = read_boxes(boxes_file(folder, detections(folder, 2)))
    near = Near(folder.annotated.truth, noise=0.0)
    both = predict_dataset(near, folder.with_boxes(boxes), COCO17, nms=None)
    one = predict_dataset(near, folder.with_boxes(boxes), COCO17)
    assert len(both.results) == 2 * len(folder.annotated.truth)
    # Annotated people of one image whose keypoints are all unlabelled are equal too.
    assert len(one.results) <= len(folder.annotated.truth)


def test_box_scores_multiply_and_low_ones_are_left_out(folder):
    file = boxes_file(folder, detections(folder, 3))
    assert sum(map(len, folder.boxes_of(read_boxes(file, 0.75)).values())) == 2 * len(
        folder.annotated.truth
    )
    boxes = read_boxes(file, 0.85)
    predicted = predict_dataset(Near(folder.annotated.truth), folder.with_boxes(boxes), COCO17)
    scores = np.array(predicted.results[0]["keypoints"]).reshape(17, 3)[:, 2]
    mean = scores[scores > 0.2].mean()
    assert predicted.results[0]["score"] == pytest.approx(0.9 * mean, abs=1e-3)


def test_keypoints_are_taken_by_their_names(folder):
    truth = folder.annotated.truth
    boxes = read_boxes(boxes_file(folder, detections(folder)))
    near = Near(truth, BLAZEPOSE33, noise=0.0)
    found = predict_dataset(near, folder.with_boxes(boxes), COCO17, nms=None)
    assert MeanOKS()(found.people(folder.annotated)).figures["mean OKS"] == pytest.approx(1)
    near = Near(truth)
    near.skeleton = LSP14
    with pytest.raises(InputError, match="'lsp14', and the annotations have others"):
        predict_dataset(near, folder.with_annotated_boxes(), COCO17)


def test_a_detector_finds_the_boxes(folder):
    box = folder.annotated.truth.box_xywh[:2]

    def detector(images):
        return [SimpleNamespace(boxes_xywh=box, scores=np.array([0.9, 0.4])) for _ in images]

    predicted = predict_dataset(
        Near(folder.annotated.truth), folder.with_detector(detector), COCO17, nms=None
    )
    assert len(predicted.results) == 2 * len(folder.annotated.file_names)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([{"image_id": 12345, "bbox": [0, 0, 9, 9], "score": 1}], "image id 12345, but for none"),
        ([{"file_name": "x.jpg", "bbox": [0, 0, 9, 9], "score": 1}], r"boxes for 'x\.jpg'"),
        ([], "boxes for no image"),
        ([{"image_id": 1, "score": 1}], "no `bbox`"),
    ],
)
def test_boxes_of_another_dataset(folder, boxes, words):
    with pytest.raises(InputError, match=words):
        folder.boxes_of(read_boxes(boxes_file(folder, boxes)))


def test_images_that_are_absent(folder, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        ImageFolder(folder.annotated, tmp_path / "absent")
    next(tmp_path.glob("*.jpg")).unlink()
    with pytest.raises(InputError, match=r"1 of the 8 images"):
        ImageFolder(folder.annotated, tmp_path)


def test_nothing_found(folder):
    empty = predict_dataset(Near(folder.annotated.truth), iter(()), COCO17)
    with pytest.raises(InputError, match="No person was found"):
        empty.people(folder.annotated)
