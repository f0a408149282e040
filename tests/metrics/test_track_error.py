"""Errors of 2D tracks, worked out by hand."""

import numpy as np
import pytest

from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.track_error import TrackError
from jaxpose.skeletons import Skeleton

ONE = Skeleton("one", keypoints=("a",))


def estimates(x, clip, visible=None):
    found = np.zeros((len(x), 1, 2))
    found[:, 0, 0] = x
    seen = np.full((len(x), 1), 2) if visible is None else np.array(visible)[:, None]
    boxes = np.tile([0.0, 0.0, 20.0, 50.0], (len(x), 1))
    return Estimates(ONE, found, np.zeros_like(found), seen, box_xywh=boxes, clip=np.array(clip))


def test_errors_are_per_cent_of_the_longer_side():
    figures = TrackError()(estimates([0, 1, 0, 3], [0, 0, 0, 1])).figures
    assert figures["track error"] == pytest.approx(100 * 4 / 4 / 50)
    # Second differences: -2 in the first clip; the other pairs of frames are in two clips.
    assert figures["acceleration error"] == pytest.approx(100 * 2 / 50)
    assert figures["acceleration"] == figures["acceleration error"]
    assert figures["true acceleration"] == 0


def test_what_is_not_labelled_does_not_count():
    figures = TrackError()(estimates([0, 1, 0], [0, 0, 0], [2, 0, 2])).figures
    assert figures["track error"] == 0 and figures["acceleration error"] == -1
