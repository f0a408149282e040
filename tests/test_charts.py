"""Charts of training and of errors per keypoint."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133
from jaxpose.viz import confusion_matrix, keypoint_errors, training_curves
from jaxpose.viz.curves import _panels, _series


def records(steps=40):
    rows = []
    for step in range(1, steps + 1):
        loss = 1.0 / step
        rows.append(
            {"step": step, "kind": "train", "loss": loss, "loss/L1": 0.6 * loss}
            | {"gradient_norm": loss, "learning_rate": 1e-3, "images_per_second": 100.0}
        )
        if step % 10 == 0:
            rows.append({"step": step, "kind": "eval", "AP": step / 50, "APM": -1, "EPE": 3.0})
            rows[-1] |= {"PCK": 0.5, "PCK/knee": 0.4, "crowd/AP": 0.1}
    return rows


def test_figures_that_belong_together_share_a_panel():
    train = _series([r for r in records() if r["kind"] == "train"])
    scores = _series([r for r in records() if r["kind"] == "eval"])
    panels = {title: list(curves) for title, curves in _panels(train, scores, "AP")}
    assert panels["loss"] == ["loss", "loss/L1"]
    assert panels["AP and AR"] == ["AP", "APM"]
    assert panels["PCK"] == ["PCK", "PCK/knee"]
    assert panels["crowd AP and AR"] == ["crowd/AP"]
    assert {"EPE", "gradient norm", "learning rate", "images per second"} <= panels.keys()


def test_curves_of_one_step_of_none_and_with_gaps():
    assert training_curves([]) is None
    assert training_curves([{"step": 1, "kind": "eval", "AP": -1}]) is None
    one = training_curves([{"step": 1, "kind": "train", "loss": 1.0}])
    many = training_curves(records(300), best="AP")
    assert one.dtype == many.dtype == np.uint8 and many.shape[0] > one.shape[0]
    gap = records()
    gap[5]["loss"] = float("nan")
    assert training_curves(gap, best="EPE", lower_is_better=True).std() > 10


def test_a_larger_error_is_a_longer_bar():
    rng = np.random.default_rng(0)
    errors = np.abs(rng.normal(0, 0.1, (50, 17)))
    errors[:, 3] = np.nan
    small = keypoint_errors(errors, COCO17, unit="sides")
    errors[:, 16] *= 8
    large = keypoint_errors(errors, COCO17, unit="sides")
    assert small.shape == large.shape and small.shape[0] > small.shape[1] * 0.6
    assert (small != large).any()
    many = keypoint_errors(np.ones((4, 133)), COCO_WHOLEBODY133, unit="sides")
    assert many.shape[0] < many.shape[1]
    with pytest.raises(InputError, match="do not fit 17 keypoints"):
        keypoint_errors(errors[:, :3], COCO17, unit="sides")
    assert keypoint_errors(np.full((2, 17), np.nan), COCO17, unit="sides").std() > 0


def test_a_confusion_matrix_shows_shares_of_rows():
    counts = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]])
    image = confusion_matrix(counts, ("sit", "stand", "fall"))
    assert image.dtype == np.uint8 and image.shape[2] == 3
    assert (confusion_matrix(counts, ("sit", "stand", "lie")) != image).any()
    assert (confusion_matrix(counts * [[1], [1], [0]] + 0, ("sit", "stand", "fall")) == image).all()
    many = confusion_matrix(np.eye(60, dtype=int), [str(i) for i in range(60)])
    assert max(many.shape) < 1200
    with pytest.raises(InputError, match="do not fit 2 classes"):
        confusion_matrix(counts, ("sit", "stand"))
