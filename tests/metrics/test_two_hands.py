"""Errors of two hands: the same as MMPose's, and what is refused."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.two_hands import HandCameras, TwoHands, fitted_cameras, hand_errors
from jaxpose.skeletons import HAND21, INTERHAND42


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_parts3d.npz") as file:
        prefix = "metric/interhand/"
        return {key.removeprefix(prefix): file[key] for key in file.files if key.startswith(prefix)}


def arguments(golden):
    predicted = golden["pred"][:, 0]
    cameras = HandCameras(golden["focal"], golden["principal"], golden["abs_depth"])
    hands = np.concatenate([golden["pred_hand_type"][:, 0], golden["rel_root_depth"]], axis=1)
    return {
        "keypoints": predicted[..., :2],
        "depths": predicted[..., 2],
        "hands": hands,
        "cameras": cameras,
        "truth": golden["gt_cam"][:, 0],
        "visible": golden["visible"][:, 0],
        "present": golden["hand_type"][:, 0],
    }


def test_errors_are_mmposes(golden):
    found = hand_errors(**arguments(golden))
    # MMPose's distances, and its positions of the wrists, are float32.
    for ours, theirs, tolerance in (
        (found.mpjpe, "MPJPE_all", 1e-6),
        (found.mpjpe_single, "MPJPE_single", 1e-6),
        (found.mpjpe_interacting, "MPJPE_interacting", 1e-6),
        (found.mrrpe, "MRRPE", 1e-5),
        (found.handedness, "HandednessAcc", 1e-9),
    ):
        np.testing.assert_allclose(ours, golden[theirs], rtol=tolerance, err_msg=theirs)


def test_what_is_wrong_counts_in_its_figure_alone(golden):
    given = arguments(golden)
    before = hand_errors(**given)
    hands = given["hands"] + np.array([0, 0, 30.0])
    apart = hand_errors(**given | {"hands": hands})
    assert apart.mrrpe > before.mrrpe + 10 and apart[:3] == before[:3]
    swapped = hand_errors(**given | {"hands": given["hands"][:, [1, 0, 2]]})
    # Images of both hands look the same to this figure.
    assert swapped.handedness == pytest.approx(0.75) and swapped[:4] == before[:4]
    nothing = hand_errors(**given | {"visible": np.zeros((4, 42))})
    assert nothing[:4] == (-1, -1, -1, -1)


def test_arrays_of_other_shapes_are_refused(golden):
    given = arguments(golden)
    with pytest.raises(InputError, match="42 joints in 4 images"):
        hand_errors(**given | {"hands": given["hands"][:, :2]})


def estimates_of(golden, **changes):
    given = arguments(golden)
    cameras, truth = given["cameras"], given["truth"]
    pixels = truth[..., :2] / truth[..., 2:] * cameras.focal[:, None] + cameras.center[:, None]
    half = np.repeat(given["present"] > 0, 21, axis=1)
    columns = {
        "keypoints": given["keypoints"],
        "truth": pixels,
        "visible": np.where(half, given["visible"], 0),
        "depth": given["depths"],
        "hands": given["hands"],
        "truth_3d": truth,
    }
    return Estimates(INTERHAND42, **columns | changes)


def test_the_metric_finds_the_cameras_and_the_hands_itself(golden):
    given = arguments(golden)
    estimates = estimates_of(golden)
    focal, center, fits = fitted_cameras(estimates.truth, estimates.truth_3d, estimates.labelled)
    assert fits.all()
    np.testing.assert_allclose(focal, given["cameras"].focal, rtol=1e-9)
    np.testing.assert_allclose(center, given["cameras"].center, rtol=1e-9)
    found = TwoHands()(estimates)
    known = estimates.visible > 0
    wrists = np.repeat(known[:, (20, 41)], 21, axis=1)
    # The golden case has other depths of the wrists beside the joints.
    cameras = given["cameras"]._replace(wrist_depth=given["truth"][:, (20, 41), 2])
    expected = hand_errors(**given | {"visible": known & wrists, "cameras": cameras})
    np.testing.assert_allclose(list(found.figures.values()), expected, rtol=1e-6)
    assert list(found.figures) == list(TwoHands().figures)


def test_a_hand_without_a_wrist_and_an_image_without_joints_are_not_measured(golden):
    estimates = estimates_of(golden)
    before = TwoHands()(estimates).figures
    visible, wrong = estimates.visible.copy(), estimates.keypoints.copy()
    visible[0, 20] = 0
    wrong[0, :20] += 500
    truth = estimates.truth_3d.copy()
    truth[0, 20] = np.nan  # as records have joints without a position
    without = TwoHands()(estimates_of(golden, visible=visible, truth_3d=truth)).figures
    changed = estimates_of(golden, visible=visible, truth_3d=truth, keypoints=wrong)
    assert TwoHands()(changed).figures == without != before
    visible[1] = 0
    empty = TwoHands()(estimates_of(golden, visible=visible))
    assert np.isfinite(list(empty.figures.values())).all()
    assert "1 images have too few joints" in empty.notes["errors of hands"]


def test_other_skeletons_are_refused():
    with pytest.raises(InputError, match="TwoHands measures skeleton 'interhand42'"):
        TwoHands().check(HAND21)
