"""HOTA, MOTA, IDF1 and keypoint MOTA: equal to TrackEval and py-motmetrics on generated tracks.

`tracking_references.json` has their figures of 50 sequences of `drawn_tracks`, and of all of them:
HOTA, DetA, AssA, LocA, MOTA, IDF1, switches, fragments, missed, false; the transfers of each; and
MOTA of each keypoint.
"""

import json
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from drawn_tracks import points, sequence

from jaxpose.errors import InputError
from jaxpose.metrics.tracking import (
    TrackedFrame,
    TrackedPoints,
    count_tracking,
    keypoint_mota,
)

REFERENCES = json.loads((Path(__file__).parent / "tracking_references.json").read_text())
BOXES = REFERENCES["boxes by TrackEval 1.0.0"]
POINTS = REFERENCES["points by py-motmetrics 1.4.0"]
TRANSFERS = REFERENCES["transfers by py-motmetrics 1.4.0"]


def test_boxes_are_scored_as_trackeval_does():
    counts = [count_tracking(sequence(seed)) for seed in range(50)]
    for name, one in [*enumerate(counts), ("all", reduce(add, counts))]:
        figures = one.figures()
        del figures["transfers"]
        np.testing.assert_allclose(list(figures.values()), BOXES[str(name)], atol=1e-9)


def test_transfers_are_those_of_motmetrics():
    assert [count_tracking(sequence(seed)).transfers for seed in range(50)] == TRANSFERS


def test_keypoints_are_scored_as_motmetrics_does():
    for seed in range(50):
        np.testing.assert_allclose(keypoint_mota([points(seed)]), POINTS[str(seed)], atol=1e-9)
    every = [points(seed) for seed in range(50)]
    np.testing.assert_allclose(keypoint_mota(every), POINTS["all"], atol=1e-9)


def test_one_swap_costs_what_it_should():
    alike = np.eye(2)
    frames = [TrackedFrame([1, 2], [7, 8] if t < 5 else [8, 7], alike) for t in range(10)]
    figures = count_tracking(frames).figures()
    assert figures["switches"] == figures["transfers"] == 2 and figures["DetA"] == 1
    assert figures["MOTA"] == pytest.approx(1 - 2 / 20) and figures["IDF1"] == 0.5
    # Each match: 5 frames together, 5 + 5 apart.
    assert figures["AssA"] == pytest.approx(5 / 15)
    assert figures["HOTA"] == pytest.approx((5 / 15) ** 0.5)


def test_nobody_is_nothing_to_measure():
    empty = [TrackedFrame([], [3], np.zeros((0, 1))), TrackedFrame([], [], np.zeros((0, 0)))]
    figures = count_tracking(empty).figures()
    assert figures["HOTA"] == figures["MOTA"] == -1 and figures["false"] == 1
    nobody = TrackedPoints(*(np.zeros(s) for s in ((0,), (0, 2, 2), (0,), (0,), (0, 2, 2))))
    assert np.isnan(keypoint_mota([[nobody]])).all()
    with pytest.raises(InputError, match="at least one frame"):
        keypoint_mota([])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (([1, 1], [2], np.zeros((2, 1))), "Id 1 is there twice among annotated"),
        (([1], [2, 2], np.zeros((1, 2))), "Id 2 is there twice among tracked"),
        (([1], [2], np.zeros((2, 1))), r"\[2, 1\] for 1 annotated"),
    ],
)
def test_frames_that_cannot_be_are_refused(frame, message):
    with pytest.raises(InputError, match=message):
        TrackedFrame(*frame)
