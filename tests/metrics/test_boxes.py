"""Recall of boxes by hand."""

import numpy as np

from jaxpose.metrics.boxes import BoxesInImages, BoxRecall, overlaps

LARGE, SMALL = 100.0**2, 50.0**2


def test_overlaps_by_hand():
    a = np.array([[0.0, 0, 2, 2], [10, 10, 1, 1]])
    b = np.array([[0.0, 0, 2, 2], [1, 0, 2, 2]])
    np.testing.assert_allclose(overlaps(a, b), [[1, 2 / 6], [0, 0]])


def test_recall_counts_large_people_that_a_box_covers():
    truth = np.array([[0.0, 0, 10, 10], [50, 50, 10, 10], [80, 80, 4, 4]])
    boxes = BoxesInImages(
        # The first person exactly, the second by a third, the small third one not at all.
        found=[np.array([[0.0, 0, 10, 10], [55, 50, 10, 10]]), np.zeros((0, 4))],
        truth=[truth, truth[:1]],
        area=[np.array([LARGE, LARGE, SMALL]), np.array([LARGE])],
    )
    assert BoxRecall()(boxes) == {"recall": 1 / 3, "boxes per image": 1.0}
    assert BoxRecall(iou=0.3)(boxes)["recall"] == 2 / 3
    assert BoxRecall(least_area=0)(boxes)["recall"] == 1 / 4


def test_without_people_there_is_nothing_to_measure():
    nothing = BoxesInImages([np.zeros((2, 4))], [np.zeros((0, 4))], [np.zeros(0)])
    assert BoxRecall()(nothing)["recall"] == -1.0
