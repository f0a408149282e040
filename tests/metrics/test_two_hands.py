"""Errors of two hands: the same as MMPose's, and what is refused."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.two_hands import HandCameras, hand_errors


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
