"""EPE, NME and AUC against MMPose 1.3.2 (golden/metrics.npz) and hand-made cases."""

from pathlib import Path

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.error import (
    EYE_CORNERS,
    NME,
    auc,
    box_lengths,
    epe,
    eye_corners,
    interocular,
    nme,
)
from jaxpose.metrics.estimates import Estimates
from jaxpose.skeletons import AFLW19, COCO17, FACE68, FACE98

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")


@pytest.mark.parametrize(
    ("golden_case", "metric", "extra"),
    [("metric/auc", auc, ()), ("metric/epe", epe, ()), ("metric/nme", nme, ("norm",))],
)
def test_golden(golden_case, metric, extra):
    arrays = [GOLDEN[f"{golden_case}/{key}"] for key in ("pred", "gt", "mask", *extra)]
    # float32 in the reference.
    assert metric(*arrays) == pytest.approx(float(GOLDEN[f"{golden_case}/value"]), rel=1e-6)


def faces(count, keypoints, seed=0):
    truth = np.random.default_rng(seed).uniform(0, 200, (count, keypoints, 2))
    return truth, np.full((count, keypoints), 2)


@pytest.mark.parametrize(("dataset", "skeleton"), [("300w", FACE68), ("wflw", FACE98)])
def test_eye_corners_of_names_are_those_of_the_data_set(dataset, skeleton):
    assert eye_corners(skeleton) == EYE_CORNERS[dataset]
    assert eye_corners(COCO17) is None


@pytest.mark.parametrize(("dataset", "keypoints"), [("300w", 68), ("wflw", 98), ("cofw", 29)])
def test_nme_over_the_interocular_distance(dataset, keypoints):
    truth, visible = faces(3, keypoints)
    first, second = EYE_CORNERS[dataset]
    truth[:, first], truth[:, second] = [100, 100], [130, 140]
    lengths = interocular(truth, visible, EYE_CORNERS[dataset])
    np.testing.assert_allclose(lengths, 50)
    assert nme(np.add(truth, [3, 4]), truth, visible, lengths) == pytest.approx(0.1)
    visible[0, first] = 0
    assert np.isnan(interocular(truth, visible, EYE_CORNERS[dataset])).tolist() == [True, 0, 0]


def test_aflw_is_measured_in_boxes():
    truth, visible = faces(2, 19)
    lengths = box_lengths(np.array([[5, 5, 40, 90], [0, 0, 60, 60]]))
    np.testing.assert_allclose(lengths, 60)
    assert nme(np.add(truth, [6, 0]), truth, visible, lengths) == pytest.approx(0.1)


def test_the_metric_of_a_recipe_measures_aflw_in_boxes():
    truth, visible = faces(2, 19)
    boxes = np.array([[5, 5, 40, 90], [0, 0, 60, 60]])
    estimates = Estimates(AFLW19, np.add(truth, [6, 0]), truth, visible, box_xywh=boxes)
    assert NME().needs(AFLW19) == ("box_xywh",) and NME().needs(FACE68) == ()
    assert NME()(estimates).figures["NME"] == pytest.approx(0.1)


def test_faces_without_a_length_are_left_out():
    truth, visible = faces(2, 68)
    value = nme(np.add(truth, [[[1, 0]], [[9, 0]]]), truth, visible, np.array([10.0, np.nan]))
    assert value == pytest.approx(0.1)


def test_unlabelled_keypoints_do_not_count():
    truth, visible = faces(2, 5)
    predicted = np.add(truth, [0.0, 2.0])
    predicted[0, 0], visible[0, 0] = 1e6, 0
    assert epe(predicted, truth, visible) == pytest.approx(2.0)
    assert epe(predicted, truth, visible * 0) == -1.0
    assert auc(predicted, truth, visible * 0) == -1.0


def test_auc_by_hand():
    truth, visible = faces(2, 5)
    # 7.6 of 30 px: right from the sixth of twenty thresholds on, 9.0 px.
    assert auc(np.add(truth, [7.6, 0]), truth, visible) == pytest.approx(14 / 20)
    assert auc(truth, truth, visible) == 1.0
    assert auc(np.add(truth, [7.6, 0]), truth, visible, np.array([1.0, 1.0])) == 0.0


def test_corners_of_another_data_set_are_refused():
    with pytest.raises(InputError, match="not among 29 keypoints"):
        interocular(*faces(1, 29), EYE_CORNERS["wflw"])
