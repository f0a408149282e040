"""Scores of estimates: which metric, in which unit, and what the report says of it."""

import dataclasses

import numpy as np
import pytest

from jaxpose.config import load_recipe
from jaxpose.train.evaluate import Estimates, score


class Heads:
    """A source with a head box of 30x40 pixels for everybody."""

    def head_boxes(self, indices):
        return np.tile(np.float32([10, 10, 40, 50]), (len(indices), 1))


@pytest.fixture
def experiment():
    return load_recipe("mpii_hrnet_w32")


def estimates(off: float) -> Estimates:
    """Four people whose 16 keypoints are all found `off` pixels to the right."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(50, 150, (4, 16, 2))
    return Estimates(
        index=np.arange(4),
        image_id=np.arange(4),
        annotation_id=np.arange(4),
        keypoints=truth + np.array([off, 0.0]),
        scores=np.ones((4, 16)),
        truth=truth,
        visible=np.full((4, 16), 2),
        box_xywh=np.tile([50.0, 50, 100, 100], (4, 1)),
        area=np.full(4, 1e4),
        pictures=[],
    )


@pytest.mark.parametrize(("off", "expected"), [(14.9, 1.0), (15.1, 0.0)])
def test_pckh_counts_in_head_sizes(experiment, off, expected):
    # Half of 0.6 x the diagonal of 30x40 is 15 px.
    report = score(estimates(off), experiment, True, Heads())
    assert report.metrics["PCKh"] == expected
    assert "head box" in report.notes["PCKh"] and report.sigmas is None


def test_pckh_without_head_boxes_says_what_it_used(experiment):
    found = estimates(0.0)
    report = score(found, experiment, False, object())
    assert report.metrics["PCKh"] == 1.0
    assert "neck to head top" in report.notes["PCKh"]


def test_oks_score_states_its_sigmas_and_takes_the_whole_truth(experiment):
    coco = load_recipe("coco_vitpose_b")
    found = estimates(0.0)
    wide = {
        name: np.concatenate([getattr(found, name)] * 2, axis=1)[:, :17]
        for name in ("keypoints", "scores", "truth", "visible")
    }
    report = score(dataclasses.replace(found, **wide), coco, False, object())
    assert report.metrics["AP"] == pytest.approx(1.0)
    assert report.sigmas == coco.skeleton.describe_sigmas()
