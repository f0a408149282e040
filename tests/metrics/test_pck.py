"""PCK against golden values, published results and hand-made cases."""

from pathlib import Path

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.pck import (
    head_segments,
    head_sizes,
    normalised_distances,
    pck,
    pckh,
    person_centric_pck,
    torso_diameters,
)
from jaxpose.skeletons import COCO17, FACE68, LSP14, MPII16

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")

# Newell et al. 2016, hourglass on MPII's validation people; per cent.
HOURGLASS = {
    "head_top": 95.94,
    "shoulder": 94.68,
    "elbow": 88.53,
    "wrist": 83.38,
    "hip": 87.48,
    "knee": 83.09,
    "ankle": 79.05,
}


@pytest.mark.parametrize("golden_case", [f"metric/pck/{alpha}" for alpha in (0.05, 0.2, 0.5)])
def test_golden(golden_case):
    case = {
        name: GOLDEN[f"{golden_case}/{name}"]
        for name in ("pred", "gt", "mask", "norm", "per_keypoint", "average")
    }
    alpha = float(golden_case.split("/")[-1])
    result = pck(case["pred"], case["gt"], case["mask"], case["norm"], alpha)
    np.testing.assert_allclose(result.per_keypoint, case["per_keypoint"], atol=1e-6)
    assert result.mean == pytest.approx(float(case["average"]), abs=1e-6)


def test_hourglass_on_mpii(shared):
    h5py = pytest.importorskip("h5py")
    scipy_io = pytest.importorskip("scipy.io")
    folder = shared / "data/metrics/mpii_val_pckh"
    with h5py.File(folder / "pose-hg-demo/preds/valid-ours.h5") as file:
        predicted = file["preds"][:]
    answers = scipy_io.loadmat(folder / "pytorch-pose/evaluation/data/detections_our_format.mat")
    metrics = pckh(
        predicted,
        answers["pos_gt_src"].transpose(2, 0, 1),
        1 - answers["jnt_missing"].T,
        head_sizes(answers["headboxes_src"].transpose(2, 0, 1).reshape(-1, 4)),
        MPII16,
    )
    for joint, percent in HOURGLASS.items():
        assert round(100 * metrics[f"PCKh/{joint}"], 2) == percent, joint
    assert next(iter(metrics)) == "PCKh"
    assert 0.87 < metrics["PCKh"] < 0.89


def people(count, skeleton, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 200, (count, skeleton.num_keypoints, 2))
    return truth, np.full((count, skeleton.num_keypoints), 2)


def test_torso_is_left_shoulder_to_right_hip():
    truth, visible = people(3, LSP14)
    first = np.linalg.norm(truth[:, 9] - truth[:, 2], axis=1)
    second = np.linalg.norm(truth[:, 8] - truth[:, 3], axis=1)
    visible[1, 2] = 0
    visible[2, [2, 8]] = 0
    lengths = torso_diameters(truth, visible, LSP14)
    np.testing.assert_allclose(lengths, [first[0], second[1], np.nan])


def test_person_centric_pck():
    truth, visible = people(4, LSP14)
    predicted = truth.copy()
    lengths = torso_diameters(truth, visible, LSP14)
    predicted[:, LSP14.index("left_knee"), 0] += 0.19 * lengths
    predicted[:, LSP14.index("right_ankle"), 1] -= 0.21 * lengths
    predicted[0, LSP14.index("neck")] = np.nan
    metrics = person_centric_pck(predicted, truth, visible, LSP14)
    assert next(iter(metrics)) == "PCK"
    assert metrics["PCK"] == pytest.approx(1 - (4 + 1) / 56)
    assert metrics["PCK/knee"] == 1.0
    assert metrics["PCK/ankle"] == 0.5
    assert metrics["PCK/neck"] == 0.75
    assert metrics["PCK/head_top"] == 1.0
    assert len(metrics) == 1 + 8


def test_occluded_joints_count_and_unlabelled_do_not():
    truth, visible = people(2, LSP14)
    visible[0, 0], visible[1, 0] = 1, 0
    predicted = truth.copy()
    predicted[:, 0] += 1000
    result = pck(predicted, truth, visible, np.full(2, 50.0), 0.2)
    assert result.labelled[0] == 1
    assert result.per_keypoint[0] == 0.0
    assert result.total() == 26 / 27
    assert result.mean == pytest.approx(13 / 14)


def test_bounds_are_included():
    truth = np.zeros((1, 1, 2))
    predicted = np.array([[[6.0, 8.0]]])
    assert pck(predicted, truth, np.ones((1, 1)), np.array([20.0]), 0.5).total() == 1.0
    assert pck(predicted, truth, np.ones((1, 1)), np.array([19.99]), 0.5).total() == 0.0


def test_people_without_a_length_are_left_out_and_counted():
    truth, visible = people(4, COCO17)
    lengths = np.array([10.0, 0.0, np.nan, 10.0])
    visible[3] = 0
    result = pck(truth, truth, visible, lengths, 0.2)
    assert result.unmeasured == 2
    assert result.labelled.tolist() == [1] * 17
    assert np.isnan(normalised_distances(truth, truth, visible, lengths)[1:]).all()


def test_nothing_to_measure_is_minus_one():
    truth, visible = people(2, LSP14)
    metrics = person_centric_pck(truth, truth, visible * 0, LSP14)
    assert set(metrics.values()) == {-1.0}
    assert pck(truth, truth, visible * 0, np.ones(2), 0.1).mean == -1.0


def test_head_lengths():
    np.testing.assert_allclose(head_sizes(np.array([[10, 20, 40, 60]])), [30.0])
    truth, visible = people(2, MPII16)
    want = np.linalg.norm(truth[:, 8] - truth[:, 9], axis=1)
    np.testing.assert_allclose(head_segments(truth, visible, MPII16), want)
    truth, visible = people(2, LSP14)
    want = np.linalg.norm(truth[:, 12] - truth[:, 13], axis=1)
    np.testing.assert_allclose(head_segments(truth, visible, LSP14), want)


def test_a_skeleton_without_a_torso_is_refused():
    truth, visible = people(1, FACE68)
    with pytest.raises(InputError, match="no left_shoulder and no right_hip"):
        person_centric_pck(truth, truth, visible, FACE68)


def test_shapes_that_do_not_fit_are_refused():
    truth, visible = people(2, LSP14)
    with pytest.raises(InputError, match=r"\[N, K, D\]"):
        pck(truth[:1], truth, visible, np.ones(2), 0.2)
    with pytest.raises(InputError, match="normalisers of shape"):
        pck(truth, truth, visible, np.ones(3), 0.2)
