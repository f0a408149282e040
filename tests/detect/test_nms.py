"""Suppression with fixed shapes against the textbook's in plain numpy."""

import numpy as np
import pytest
from suppression import plain

from jaxpose.detect.nms import suppress


@pytest.mark.parametrize("iou", [0.2, 0.65, 1.0])
def test_it_keeps_what_the_plain_one_keeps(iou):
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 40, (3, 200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(-2, 30, (3, 200, 2))], -1)
    boxes = boxes.astype(np.float32)
    # Coarse scores, so that many are equal; the last image has none above the threshold.
    scores = (rng.integers(0, 20, (3, 200)) / 20).astype(np.float32)
    scores[2] *= 0.2
    kept = suppress(boxes, scores, threshold=0.3, iou=iou, limit=30)
    assert kept.boxes_xyxy.shape == (3, 30, 4)
    for b in range(3):
        rows = plain(boxes[b], scores[b], 0.3, iou, 30)
        assert bool(rows) == (b < 2)
        np.testing.assert_array_equal(kept.scores[b, : len(rows)], scores[b, rows])
        np.testing.assert_array_equal(kept.boxes_xyxy[b, : len(rows)], boxes[b, rows])
        assert not kept.scores[b, len(rows) :].any()


def test_equal_boxes_without_area_are_all_kept_once():
    boxes = np.array([[[1, 1, 1, 1], [1, 1, 1, 1]]], np.float32)
    kept = suppress(boxes, np.array([[0.9, 0.8]], np.float32), threshold=0.1, iou=0.5, limit=4)
    np.testing.assert_allclose(kept.scores, [[0.9, 0.8, 0, 0]])
