"""Mean OKS and pairs of people, with numbers worked out by hand and those of other runtimes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.mean_oks import MeanOKS, oks_of_people
from jaxpose.metrics.pairs import pair_people, paired_estimates
from jaxpose.metrics.people import PeopleInImages
from jaxpose.metrics.per_keypoint import per_keypoint
from jaxpose.skeletons import COCO17, Skeleton

PAIR = Skeleton("pair", keypoints=("a", "b"), sigmas=(0.05, 0.1))
# d² / (2 * area * (2 sigma)²) is 1 for these distances, so the similarity is 1 / e.
AREA = 5000.0
UNIT = np.sqrt(2 * AREA) * 2 * np.array(PAIR.sigmas)


def people(found, scores=None, ids=None) -> PeopleInImages:
    """Three people in two images: two side by side, a crowd, and one alone with one label."""
    truth = GroundTruth(
        image_id=[1, 1, 1, 2],
        keypoints=np.array([[[0, 0], [9, 9]], [[50, 0], [59, 9]], [[0, 0], [9, 9]], [[5, 5]] * 2]),
        visible=[[2, 2], [2, 1], [2, 2], [2, 0]],
        box_xywh=np.tile([0.0, 0, 100, 100], (4, 1)),
        area=np.full(4, AREA),
        iscrowd=[0, 0, 1, 0],
        images=[1, 2, 3],
        annotation_id=[11, 12, 13, 14],
    )
    image_id, points = zip(*found, strict=True)
    return PeopleInImages(
        PAIR,
        truth,
        Detections(
            np.array(image_id), np.array(points, float), np.ones(len(found)), annotation_id=ids
        ),
    )


def test_the_similarity_of_each_person_with_its_estimate():
    truth = np.zeros((2, 2, 2))
    found = np.array([[[UNIT[0], 0], [0, UNIT[1]]], [[0.0, 0], [0, UNIT[1]]]])
    estimates = Estimates(PAIR, found, truth, np.array([[2, 2], [2, 0]]), area=np.full(2, AREA))
    np.testing.assert_allclose(oks_of_people(estimates), [np.exp(-1), 1])
    scored = MeanOKS()(estimates)
    assert scored.figures == {"mean OKS": pytest.approx((1 + np.exp(-1)) / 2)}
    assert MeanOKS(2)(estimates).figures == {"mean OKS (2+)": pytest.approx(np.exp(-1))}
    assert MeanOKS(3)(estimates).figures == {"mean OKS (3+)": -1}


def test_the_most_alike_are_paired_and_the_rest_is_not_found():
    near, far = [[0, 1], [9, 9]], [[0, 3], [9, 9]]
    found = people([(1, far), (1, near), (3, near)])
    assert pair_people(found).tolist() == [1, 0, -1, -1]
    estimates = paired_estimates(found, pair_people(found))
    assert len(estimates) == 3 and np.isnan(estimates.keypoints[2]).all()
    figures = per_keypoint(estimates).rows
    assert [(row.labelled, row.found) for row in figures] == [(3, 2), (2, 2)]


def test_results_that_name_their_annotation_are_its_pairs():
    near, far = [[0, 1], [9, 9]], [[0, 3], [9, 9]]
    found = people([(1, far), (1, near)], ids=np.array([11, 12]))
    assert pair_people(found).tolist() == [0, 1, -1, -1]


def test_figures_of_a_keypoint():
    found = people([(1, [[UNIT[0], 0], [9, 9]])], ids=np.array([11]))
    row = per_keypoint(paired_estimates(found, pair_people(found))).rows[0]
    assert row.error == pytest.approx(UNIT[0] / 100)
    assert row.oks == pytest.approx(np.exp(-1) / 3)  # two people were not found
    assert row.pck == pytest.approx((UNIT[0] <= 10) / 3)


def test_people_count_from_one():
    with pytest.raises(InputError, match="at least 1"):
        MeanOKS(0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tinypose_256x192", 0.8224),
        ("movenet_thunder", 0.7434),
        ("movenet_lightning", 0.6845),
        ("posenet_mobilenet", 0.5410),
    ],
)
def test_the_figures_of_other_runtimes(shared, name, value):
    folder = shared / "weights" / name
    if not (folder / "golden.npz").is_file():
        pytest.skip(f"{name} is not among the shared weights")
    documents = [
        json.loads((shared / f"data/coco/annotations/person_keypoints_{s}2017.json").read_text())
        for s in ("train", "val")
    ]
    truth = GroundTruth.from_coco(
        {
            "images": [i for d in documents for i in d["images"]],
            "annotations": [a for d in documents for a in d["annotations"]],
        }
    )
    with np.load(folder / "golden.npz") as golden:
        ids, points = golden["eval100_ann_id"].astype(np.int64), golden["eval100_keypoints"]
    images = dict(zip(truth.annotation_id.tolist(), truth.image_id.tolist(), strict=True))
    found = Detections(
        np.array([images[i] for i in ids.tolist()]),
        points[..., :2],
        points[..., 2].mean(axis=1),
        annotation_id=ids,
    )
    both = PeopleInImages(COCO17, truth, found)
    assert MeanOKS(8)(both).figures["mean OKS (8+)"] == pytest.approx(value, abs=1e-4)
    greedy = MeanOKS(8)(replace(both, found=replace(found, annotation_id=None)))
    assert greedy.figures["mean OKS (8+)"] == pytest.approx(value, abs=0.005)
