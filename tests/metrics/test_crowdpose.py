"""CrowdPose's crowd index and AP against the published files and xtcocotools' answers."""

import json

import numpy as np
import pytest

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.crowdpose import AREA_OF_BOX, crowd_index, crowdpose_ap

# configs/_base_/datasets/crowdpose.py of MMPose
SIGMAS = (
    *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107),
    *(0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
)
# COCOeval(..., "keypoints_crowd", use_area=False) of xtcocotools 1.14.3 on its own example; it
# rounds the last three to four decimals.
ANSWERS = {
    "AP": 0.7877215935879303,
    "AP50": 0.9881188118811886,
    "AP75": 0.7314356435643564,
    "AR": 0.8222222222222223,
    "AR50": 1.0,
    "AR75": 0.7777777777777778,
    "AP_easy": 1.0,
    "AP_medium": 0.9802,
    "AP_hard": 0.4116,
}
EXAMPLE = "data/metrics/xtcoco_examples/annotations/example_crowdpose"


def test_answers_of_xtcocotools(shared):
    truth = GroundTruth.from_coco(shared / f"{EXAMPLE}_val.json", area_of_box=AREA_OF_BOX)
    found = Detections.from_coco_results(shared / f"{EXAMPLE}_preds.json")
    metrics = crowdpose_ap(truth, found, SIGMAS)
    assert list(metrics) == list(ANSWERS)
    for name, value in ANSWERS.items():
        tolerance = 5e-5 if "_" in name else 1e-12
        assert metrics[name] == pytest.approx(value, abs=tolerance), name


@pytest.mark.parametrize(
    "file", [f"{EXAMPLE}_val.json", "data/samples/crowdpose/test_crowdpose.json"]
)
def test_the_index_is_the_published_one(shared, file):
    document = json.loads((shared / file).read_text())
    index = crowd_index(GroundTruth.from_coco(document, area_of_box=AREA_OF_BOX))
    assert index == {image["id"]: image["crowdIndex"] for image in document["images"]}


def people(keypoints, boxes):
    number = len(boxes)
    return GroundTruth(
        image_id=np.ones(number, int),
        keypoints=np.asarray(keypoints, float),
        visible=np.ones((number, len(keypoints[0]))),
        box_xywh=np.asarray(boxes, float),
        area=np.full(number, 100.0),
        images=np.array([1, 2]),
    )


def test_index_by_hand():
    # One of the second person's two keypoints lies in the first one's box; a photo of nobody.
    truth = people([[[1, 1], [2, 2]], [[3, 3], [20, 20]]], [[0, 0, 5, 5], [2.5, 2.5, 20, 20]])
    assert crowd_index(truth) == {1: 0.25, 2: 0.0}


def test_levels_without_people_are_minus_one():
    truth = people([[[1, 1], [2, 2]]], [[0, 0, 5, 5]])
    found = Detections(image_id=[1], keypoints=[[[1, 1], [2, 2]]], scores=[1.0])
    metrics = crowdpose_ap(truth, found, (0.1, 0.1))
    assert metrics["AP_easy"] == pytest.approx(1.0)
    assert metrics["AP_medium"] == metrics["AP_hard"] == -1.0
    metrics = crowdpose_ap(truth, found, (0.1, 0.1), index={1: 0.8, 2: 0.0})
    assert metrics["AP_hard"] == pytest.approx(1.0) and metrics["AP_easy"] == -1.0
