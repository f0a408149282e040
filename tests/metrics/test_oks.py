"""OKS and COCO AP/AR against pycocotools, published numbers and hand-made cases."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from coco_problem import SIGMAS, detections, people, pycocotools_stats

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import METRICS, coco_keypoint_ap, instance_score, oks

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")

# tests/test_keypoints.py of github.com/MiXaiLL76/faster_coco_eval
PUBLISHED = {
    "AP": 0.5048844884488449,
    "AP50": 0.7227722772277227,
    "AP75": 0.6336633663366337,
    "APM": 0.46633663366336636,
    "APL": 0.7504950495049505,
    "AR": 0.5181818181818182,
    "AR50": 0.7272727272727273,
    "AR75": 0.6363636363636364,
    "ARM": 0.4666666666666666,
    "ARL": 0.75,
}


def ours(document, results, **options) -> np.ndarray:
    truth, found = GroundTruth.from_coco(document), Detections.from_coco_results(results)
    metrics = coco_keypoint_ap(truth, found, SIGMAS, **options)
    assert tuple(metrics) == METRICS
    return np.array(list(metrics.values()))


def assert_equal_to_pycocotools(document, results) -> np.ndarray:
    # pycocotools writes into what it is given.
    stats = pycocotools_stats(copy.deepcopy(document), copy.deepcopy(results))
    mine = ours(document, results)
    np.testing.assert_allclose(mine, stats, rtol=0, atol=1e-12)
    return mine


@pytest.mark.parametrize(
    ("truth", "results"),
    [
        ("fastercoco_keypoints/gt_dataset.json", "fastercoco_keypoints/dt_dataset.json"),
        *(
            (
                f"xtcoco_examples/annotations/example_{name}_val.json",
                f"xtcoco_examples/annotations/example_{name}_preds.json",
            )
            for name in ("coco", "wholebody")
        ),
    ],
)
def test_shipped_predictions_equal_pycocotools(shared, truth, results):
    folder = shared / "data/metrics"
    if not (folder / truth).is_file():
        pytest.skip(f"{truth} is not among the shared data")
    assert_equal_to_pycocotools(str(folder / truth), str(folder / results))


def test_published_numbers(shared):
    folder = shared / "data/metrics/fastercoco_keypoints"
    truth = GroundTruth.from_coco(folder / "gt_dataset.json")
    found = Detections.from_coco_results(folder / "dt_dataset.json")
    metrics = coco_keypoint_ap(truth, found, SIGMAS)
    for name, value in PUBLISHED.items():
        assert metrics[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize(("seed", "boxes"), [(0, False), (1, True)])
def test_real_annotations_with_generated_detections(shared, seed, boxes):
    path = shared / "data/metrics/coco_val538_ann/person_keypoints_val2017_538imgs.json"
    document = json.loads(path.read_text())
    stats = assert_equal_to_pycocotools(document, detections(document, seed, 4000, boxes=boxes))
    assert 0.02 < stats[0] < 0.98


@pytest.mark.parametrize("seed", range(6))
def test_generated_problems_equal_pycocotools(seed):
    document = people(seed, photos=40, count=90 + 40 * seed, categories=1 + seed % 2)
    results = detections(document, seed + 100, 400 + 300 * seed, boxes=seed % 3 == 0)
    stats = assert_equal_to_pycocotools(document, results)
    assert (stats > 0).all()


def test_everyone_in_one_photo_twice_with_equal_scores():
    document = people(7, photos=1, count=60)
    again = [p | {"id": p["id"] + 60, "area": p["area"]} for p in document["annotations"]]
    for person in again[::4]:
        person["iscrowd"] = 1
    document["annotations"] += again
    results = detections(document, 8, 300)
    for result in results:
        result["score"] = 0.5
    assert_equal_to_pycocotools(document, results)


def test_perfect_detections_reach_one():
    document = people(3, photos=30, count=60)
    results = [
        {k: p[k] for k in ("image_id", "category_id", "keypoints")} | {"score": 1.0}
        for p in document["annotations"]
        if p["num_keypoints"] and not p["iscrowd"]
    ]
    mine = assert_equal_to_pycocotools(document, results)
    # Precision is 1 - eps, as in COCOeval, for the eps in its denominator.
    np.testing.assert_allclose(mine[:5], 1.0, atol=1e-12)


def test_nobody_to_find_is_minus_one():
    document = people(5, photos=4, count=6)
    for person in document["annotations"]:
        person["iscrowd"] = 1
    mine = assert_equal_to_pycocotools(document, detections(document, 6, 20))
    assert (mine == -1).all()
    empty = people(5, photos=4, count=0)
    assert (assert_equal_to_pycocotools(empty, detections(empty, 6, 5)) == -1).all()


def test_no_detections_is_zero():
    mine = ours(people(5, photos=4, count=20), [])
    np.testing.assert_array_equal(mine, 0.0)


def test_detections_only_in_photos_without_people_and_the_other_way_round():
    document = people(9, photos=20, count=30)
    with_people = {p["image_id"] for p in document["annotations"]}
    results = detections(document, 10, 200)
    elsewhere = [r for r in results if r["image_id"] not in with_people]
    assert elsewhere
    assert assert_equal_to_pycocotools(document, elsewhere)[0] == 0.0
    some = next(iter(with_people))
    assert_equal_to_pycocotools(document, [r for r in results if r["image_id"] != some])


def test_num_keypoints_of_the_file_decides_who_is_ignored():
    document = people(11, photos=10, count=40)
    for person in document["annotations"][::3]:
        person["num_keypoints"] = 0
    for person in document["annotations"][1::3]:
        person["num_keypoints"] = 5
        person["ignore"] = 1
    assert_equal_to_pycocotools(document, detections(document, 12, 300))


def test_people_of_unlisted_photos_do_not_count():
    document = people(13, photos=10, count=40)
    dropped = document["annotations"][0]["image_id"]
    results = [r for r in detections(document, 14, 200) if r["image_id"] != dropped]
    document["images"] = [i for i in document["images"] if i["id"] != dropped]
    assert_equal_to_pycocotools(document, results)


def test_annotation_id_zero_is_an_ordinary_person():
    document = people(15, photos=5, count=10)
    results = detections(document, 16, 60)
    before = ours(document, results)
    for person in document["annotations"]:
        person["id"] -= 1
    np.testing.assert_array_equal(ours(document, results), before)


def test_fewer_detections_per_photo():
    document = people(17, photos=3, count=20)
    results = detections(document, 18, 120)
    best = {i["id"]: [] for i in document["images"]}
    for result in sorted(results, key=lambda r: -r["score"]):
        if len(best[result["image_id"]]) < 5:
            best[result["image_id"]].append(result)
    kept = [r for rs in best.values() for r in rs]
    np.testing.assert_array_equal(ours(document, results, max_detections=5), ours(document, kept))


@pytest.mark.parametrize("golden_case", ["metric/oks"])
def test_oks_golden(golden_case):
    golden = {
        name: GOLDEN[f"{golden_case}/{name}"]
        for name in ("gt", "detections", "gt_area", "areas", "sigmas", "value")
    }
    truth = golden["gt"].reshape(17, 3)
    found = golden["detections"].reshape(-1, 17, 3)
    # The reference (MMPose's oks_iou, made for suppression) takes the mean area of the two people
    # and counts every keypoint.
    area = (golden["gt_area"] + golden["areas"]) / 2
    value = oks(found[..., :2], truth[..., :2], np.ones(17), area, golden["sigmas"])
    np.testing.assert_allclose(value, golden["value"], rtol=1e-5, atol=1e-9)


def test_oks_by_hand():
    truth = np.array([[0.0, 0.0], [10.0, 0.0], [99.0, 99.0]])
    found = truth + np.array([[3.0, 4.0], [0.0, 0.0], [500.0, 0.0]])
    value = oks(found, truth, [2, 1, 0], 100.0, [0.5, 0.5, 0.5])
    assert value == pytest.approx((np.exp(-25 / (2 * 100 * 1.0)) + 1) / 2, abs=1e-12)
    # Unlabelled: 4 px beyond three times the box horizontally, for one of three keypoints.
    box = np.array([10.0, 10.0, 20.0, 20.0])
    points = np.array([[-14.0, 0.0], [50.0, 50.0], [-10.0, -10.0]])
    value = oks(points, truth, [0, 0, 0], 100.0, [0.5, 0.5, 0.5], box)
    assert value == pytest.approx((np.exp(-16 / 200) + 2) / 3, abs=1e-12)
    assert oks(points, truth, [0, 0, 0], 100.0, [0.5, 0.5, 0.5]) == 0.0


def test_instance_score():
    scores = np.array([[0.9, 0.5, 0.1, 0.2], [0.1, 0.2, 0.0, 0.05]])
    np.testing.assert_allclose(instance_score(scores, np.array([0.5, 1.0])), [0.35, 0.0])


def test_detections_outside_the_listed_photos_are_refused():
    document = people(1, photos=3, count=3)
    results = detections(document, 2, 3)
    results[1]["image_id"] = 999_999
    with pytest.raises(InputError, match="first image id 999999"):
        ours(document, results)


def test_sigmas_of_another_skeleton_are_refused():
    document = people(1, photos=3, count=3)
    truth = GroundTruth.from_coco(document)
    found = Detections.from_coco_results(detections(document, 2, 3))
    with pytest.raises(InputError, match="16 sigmas for ground truth of 17 keypoints"):
        coco_keypoint_ap(truth, found, SIGMAS[:16])
