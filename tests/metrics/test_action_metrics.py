"""Accuracy of classes: top-k, and the mean over classes."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.actions import ClassScores, MeanClassAccuracy, TopK

NAMES = ("a", "b", "c")


def test_accuracy_by_hand():
    scores = np.array([[3, 2, 1], [1, 2, 3], [1, 3, 2], [3, 1, 2], [3, 2, 1]], float)
    found = ClassScores(scores, np.array([0, 0, 1, 0, 1]), NAMES)
    assert TopK()(found) == {"top-1": pytest.approx(60)}
    assert TopK(2)(found) == {"top-2": pytest.approx(80)}
    assert TopK(9)(found) == {"top-9": pytest.approx(100)}
    assert found.confusion().tolist() == [[2, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert MeanClassAccuracy()(found)["mean class accuracy"] == pytest.approx(
        100 * (2 / 3 + 1 / 2) / 2
    )


def test_equal_scores_are_no_hit_for_all_of_them():
    found = ClassScores(np.zeros((3, 3)), np.array([0, 1, 2]), NAMES)
    assert TopK()(found)["top-1"] == pytest.approx(100 / 3)


def test_no_clip_is_nothing_to_measure():
    empty = ClassScores(np.zeros((0, 3)), np.zeros(0, int), NAMES)
    assert TopK()(empty)["top-1"] == -1 == MeanClassAccuracy()(empty)["mean class accuracy"]
    with pytest.raises(InputError, match="at least 1"):
        TopK(0)
