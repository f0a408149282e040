"""PCK and error of visible and of occluded keypoints, with numbers worked out by hand."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.occlusion import ByOcclusion
from jaxpose.skeletons import Skeleton

PAIR = Skeleton("pair", keypoints=("a", "b"))


def test_flags_are_counted_apart():
    truth, found = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    found[:, 0, 0], found[:, 1, 1] = [3, 5, 9], [1, 4, 7]
    visible = np.array([[2, 1], [2, 1], [1, 0]])
    boxes = np.tile([0.0, 0, 20, 80], (3, 1))  # a tenth of the side of a square is 4
    figures = ByOcclusion()(Estimates(PAIR, found, truth, visible, box_xywh=boxes))
    assert figures["PCK visible"] == pytest.approx(50) and figures["error visible"] == 4
    assert figures["PCK occluded"] == pytest.approx(100 * 2 / 3)
    assert figures["error occluded"] == pytest.approx(14 / 3)
    none = ByOcclusion()(Estimates(PAIR, found, truth, np.full((3, 2), 2), box_xywh=boxes))
    assert none["PCK occluded"] == none["error occluded"] == -1
    with pytest.raises(InputError, match="alpha must be positive"):
        ByOcclusion(0.0)
