"""COCO-WholeBody's parts against xtcocotools' answers."""

import json

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import METRICS
from jaxpose.metrics.wholebody import PARTS, read_detections, read_ground_truth, wholebody_ap

# COCOeval of xtcocotools 1.14.3 on its own example, with the sigmas of COCO-WholeBody.
ANSWERS = {
    "body": (
        *(0.853921820753504, 1.0, 0.9352310231023103, 0.7765442972868715, 0.9227740905958729),
        *(0.8958333333333334, 1.0, 0.9583333333333334, 0.8272727272727272, 0.953846153846154),
    ),
    "foot": (
        *(0.9571054164239954, 1.0, 0.9854397204426324, 0.9237623762376238, 0.9790664780763791),
        *(0.975, 1.0, 1.0, 0.9571428571428571, 0.9888888888888889),
    ),
    "face": (
        *(0.727013201320132, 1.0, 0.8160066006600659, 0.699009900990099, 0.751909476661952),
        *(0.7461538461538462, 1.0, 0.8461538461538461, 0.7, 0.76),
    ),
    "lefthand": (
        *(0.5487426599802838, 0.793729372937294, 0.5742574257425742, 0.7643564356435644),
        *(0.4774917491749175, 0.575, 0.8333333333333334, 0.5833333333333334, 0.8, 0.5),
    ),
    "righthand": (
        *(0.49784103410341035, 0.6445644564456446, 0.5262526252625263, 0.8267326732673267),
        *(0.3630964167845356, 0.5615384615384615, 0.6923076923076923, 0.6153846153846154),
        *(0.825, 0.4444444444444444),
    ),
    "whole": (
        *(0.6420759218779022, 1.0, 0.8410891089108912, 0.6764504307573613, 0.6303173394262502),
        *(0.7041666666666666, 1.0, 0.875, 0.7454545454545454, 0.6692307692307693),
    ),
}
EXAMPLE = "data/metrics/xtcoco_examples/annotations/example_wholebody"


def test_answers_of_xtcocotools(shared):
    truth = read_ground_truth(shared / f"{EXAMPLE}_val.json")
    found = read_detections(shared / f"{EXAMPLE}_preds.json")
    metrics = wholebody_ap(truth, found)
    assert next(iter(metrics)) == "AP" and len(metrics) == 60
    for part, answers in ANSWERS.items():
        prefix = "" if part == "whole" else f"{part}/"
        ours = [metrics[prefix + name] for name in METRICS]
        np.testing.assert_allclose(ours, answers, rtol=0, atol=1e-12, err_msg=part)


def test_a_part_nobody_shows_is_minus_one():
    keypoints = np.random.default_rng(0).uniform(0, 100, (2, 133, 2))
    visible = np.full((2, 133), 2)
    visible[:, PARTS["lefthand"]] = 0
    truth = GroundTruth(
        image_id=[1, 2],
        keypoints=keypoints,
        visible=visible,
        box_xywh=np.tile([0.0, 0, 100, 100], (2, 1)),
        area=np.full(2, 5000.0),
    )
    metrics = wholebody_ap(truth, Detections([1, 2], keypoints, [1.0, 1.0]))
    assert metrics["lefthand/AP"] == -1.0
    assert metrics["AP"] == metrics["face/AP"] == pytest.approx(1.0)


def test_other_skeletons_and_files_are_refused(shared):
    with pytest.raises(InputError, match="COCO-WholeBody has 133"):
        wholebody_ap(
            GroundTruth([1], np.zeros((1, 17, 2)), np.ones((1, 17)), np.ones((1, 4)), [1.0]),
            Detections([1], np.zeros((1, 17, 2)), [1.0]),
        )
    document = json.loads((shared / f"{EXAMPLE}_val.json").read_text())
    del document["annotations"][0]["face_kpts"]
    with pytest.raises(InputError, match="has no 'face_kpts'"):
        read_ground_truth(document)
