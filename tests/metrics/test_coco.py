"""Reading COCO keypoint files: what is read, and what a malformed file says."""

import json

import numpy as np
import pytest
from coco_problem import detections, people

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth


@pytest.fixture
def document():
    return people(0, photos=4, count=8)


def test_reads_arrays(document, tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(document))
    truth = GroundTruth.from_coco(path)
    assert len(truth) == 8
    assert truth.keypoints.shape == (8, 17, 2)
    assert truth.keypoints.dtype == np.float64
    first = document["annotations"][0]
    np.testing.assert_array_equal(truth.visible[0], first["keypoints"][2::3])
    np.testing.assert_array_equal(truth.box_xywh[0], first["bbox"])
    assert truth.images.tolist() == [i["id"] for i in document["images"]]


def test_ignore_defaults_to_people_without_keypoints():
    truth = GroundTruth(
        image_id=np.array([1, 1, 1]),
        keypoints=np.zeros((3, 2, 2)),
        visible=np.array([[0, 0], [2, 0], [2, 2]]),
        box_xywh=np.ones((3, 4)),
        area=np.ones(3),
        iscrowd=np.array([0, 0, 1]),
    )
    assert truth.ignore.tolist() == [True, False, True]


def test_areas_of_detections(document):
    results = detections(document, 1, 3)
    found = Detections.from_coco_results(results)
    x, y = found.keypoints[0, :, 0], found.keypoints[0, :, 1]
    assert found.area[0] == pytest.approx((x.max() - x.min()) * (y.max() - y.min()))
    with_boxes = Detections.from_coco_results([r | {"bbox": [1, 2, 30, 4]} for r in results])
    assert with_boxes.area.tolist() == [120.0] * 3
    assert len(Detections.from_coco_results([])) == 0


def break_document(document, how):
    people = document["annotations"]
    match how:
        case "not coco":
            return [1, 2, 3]
        case "no annotations":
            del document["annotations"]
        case "no keypoints":
            del people[2]["keypoints"]
        case "one short":
            people[3]["keypoints"] = people[3]["keypoints"][:-1]
        case "one skeleton short":
            people[3]["keypoints"] = people[3]["keypoints"][:-3]
        case "text":
            people[1]["keypoints"][0] = "left"
        case "nan":
            people[1]["keypoints"][0] = float("nan")
        case "no area":
            del people[4]["area"]
        case "box of three":
            people[0]["bbox"] = [1, 2, 3]
        case "images of text":
            document["images"] = 5
        case "area of text":
            people[1]["area"] = "wide"
        case "huge":
            people[1]["keypoints"][0] = 10**400
        case "id list":
            people[1]["image_id"] = [1, 2]
        case "text id":
            people[0]["image_id"] = "photo"
    return document


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("not coco", "not a COCO keypoints file"),
        ("no annotations", "no list 'annotations'"),
        ("no keypoints", "entry 3 has no 'keypoints'"),
        ("one short", "entry 4 has 50 keypoint numbers"),
        ("one skeleton short", "entry 4 has 48 keypoint numbers"),
        ("text", "flat lists of numbers"),
        ("nan", "NaN or infinite, the first is 1"),
        ("no area", "entry 5 has no 'area'"),
        ("box of three", "must be numbers"),
        ("text id", "whole numbers"),
        ("id list", "whole numbers"),
        ("images of text", "'images' is not a list"),
        ("area of text", "areas of .* must be numbers"),
        ("huge", "flat lists of numbers"),
    ],
)
def test_malformed_ground_truth(document, how, message):
    with pytest.raises(InputError, match=message):
        GroundTruth.from_coco(break_document(document, how))


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"annotations": []}, "must be a list"),
        ([{"image_id": 1, "score": 1.0}], "has no 'keypoints'"),
        ([{"image_id": 1, "keypoints": [1, 2, 1]}], "has no 'score'"),
        ([{"image_id": 1, "keypoints": [1, 2], "score": 1}], "has 2 keypoint numbers"),
        ([{"image_id": 1, "keypoints": [1, 2, 1], "score": float("nan")}], "NaN"),
    ],
)
def test_malformed_results(results, message):
    with pytest.raises(InputError, match=message):
        Detections.from_coco_results(results)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no annotations file at"):
        GroundTruth.from_coco(tmp_path / "absent.json")
    (tmp_path / "cut.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"cut\.json is not valid JSON"):
        GroundTruth.from_coco(tmp_path / "cut.json")


def test_arrays_that_do_not_fit_together():
    with pytest.raises(InputError, match="visible has shape"):
        GroundTruth([1], np.zeros((1, 3, 2)), np.zeros((1, 2)), np.ones((1, 4)), np.ones(1))
    with pytest.raises(InputError, match=r"scores have shape \[3\], expected \[2\]"):
        Detections([1, 2], np.zeros((2, 3, 2)), np.ones(3))
