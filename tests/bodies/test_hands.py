"""Hands of MANO's layout: sides, mirror images, and fits to their keypoints."""

import jax.numpy as jnp
import numpy as np
import pytest
from made_hand import made_hand, save_hand

from jaxpose.bodies import drawn_body, pose_body, read_body
from jaxpose.bodies.fit import fit_body, fit_body_3d
from jaxpose.bodies.fit_problem import Fitting
from jaxpose.bodies.fit_tracks import Smoothing, fit_tracks
from jaxpose.bodies.hands import (
    hand_of_side,
    hand_prior,
    hand_side,
    mirrored,
    mirrored_rotations,
)
from jaxpose.bodies.landmarks import landmarks
from jaxpose.bodies.prior import beginnings
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera, project
from jaxpose.geometry.procrustes import move, procrustes
from jaxpose.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from jaxpose.metrics.mesh_error import acceleration_error
from jaxpose.skeletons import HAND21, RHD21

WH = (640, 480)
CAMERA = centred_camera(1000.0, WH[::-1])


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return read_body(save_hand(tmp_path_factory.mktemp("hand")))


@pytest.fixture(scope="module")
def hands(right):
    """Shapes, rotations, translations and keypoints of five hands in all directions."""
    rng, numbers = np.random.default_rng(0), hand_prior(right).numbers
    whitening = numbers.whitenings[0, :45, :45].astype(float)
    local = numbers.means[0, :45] + np.linalg.solve(whitening, rng.standard_normal((45, 5))).T
    turns = np.array([[0, 0, 0], [3, 0, 0], [0, 1.6, 0.5], [0.4, -1.5, 2.0], [1.0, 1.0, -1.0]])
    vectors = np.concatenate([turns[:, None], local.reshape(5, 15, 3)], axis=1)
    rotations = matrix_from_axis_angle(vectors).astype(np.float32)
    shape = rng.standard_normal((5, 10)).astype(np.float32)
    place = rng.uniform([-50, -40, 350], [50, 40, 600], (5, 3)).astype(np.float32)
    return shape, rotations, place, _points(right, shape, rotations, place)


def _points(file, shape, rotations, place, skeleton=HAND21):
    found = landmarks(file.body, skeleton).points(shape, rotations, place)
    return np.asarray(found, np.float64)


def _volume(vertices, faces):
    """Volume inside a mesh, mm3; negative if its faces show their inner side."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, corner]] for corner in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_the_mirror_image_is_the_other_hand(right, hands):
    shape, rotations, place, _ = hands
    left = mirrored(right)
    assert (hand_side(right.body), hand_side(left.body)) == ("right", "left")
    assert hand_side(drawn_body()) == ""
    across = np.array([-1, 1, 1], np.float32)
    one = pose_body(right.body, shape, rotations, place)
    other = pose_body(left.body, shape, mirrored_rotations(rotations), place * across)
    np.testing.assert_allclose(other.vertices, np.asarray(one.vertices) * across, atol=2e-3)
    np.testing.assert_allclose(other.joints, np.asarray(one.joints) * across, atol=2e-3)
    assert np.linalg.det(mirrored_rotations(rotations)).min() > 0.99
    vectors = axis_angle_from_matrix(mirrored_rotations(rotations).astype(float))
    expected = axis_angle_from_matrix(rotations.astype(float)) * [1, -1, -1]
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    for file, posed in ((right, one), (left, other)):
        assert _volume(posed.vertices[0], file.faces) > 1e5
    # Twice is the same hand, in its type and its basis too.
    again = mirrored(left)
    assert again.body.template.dtype == right.body.template.dtype
    np.testing.assert_array_equal(again.body.pose_shapes, right.body.pose_shapes)
    np.testing.assert_array_equal(again.faces, right.faces)
    factors = np.array([1.0, -0.5])
    np.testing.assert_allclose(
        left.hands["hand"].pose(factors), right.hands["hand"].pose(factors) * [1, -1, -1]
    )
    assert hand_of_side(right, "right", "file") is right
    assert hand_side(hand_of_side(left, "right", "file").body) == "right"


def test_a_hand_that_points_elsewhere_has_no_side(right, tmp_path):
    arrays = dict(made_hand())
    arrays["v_template"] = arrays["v_template"][:, [2, 1, 0]]
    np.savez(tmp_path / "turned.npz", **arrays)
    file = read_body(tmp_path / "turned.npz")
    assert hand_side(file.body) == ""
    with pytest.raises(InputError, match=r"turned\.npz is not in the rest pose of MANO"):
        hand_of_side(file, "left", "turned.npz")


def test_keypoints_of_a_hand_are_joints_and_tips(right):
    flat = np.tile(np.eye(3, dtype=np.float32), (16, 1, 1))
    nothing = np.zeros(10, np.float32), flat, np.zeros(3, np.float32)
    for skeleton in (HAND21, RHD21):
        points = dict(
            zip(skeleton.keypoints, _points(right, *nothing, skeleton=skeleton), strict=True)
        )
        template, joints = np.asarray(right.body.template), right.body.joints
        at = np.asarray(right.body.regressor) @ template
        tips = {"thumb": 744, "forefinger": 320, "middle_finger": 443}
        tips |= {"ring_finger": 554, "pinky_finger": 671}
        for finger, vertex in tips.items():
            np.testing.assert_allclose(points[f"{finger}4"], template[vertex], atol=1e-3)
        for keypoint, joint in (
            *(("wrist", "wrist"), ("thumb1", "thumb1"), ("forefinger2", "index2")),
            *(
                ("middle_finger3", "middle3"),
                ("ring_finger1", "ring1"),
                ("pinky_finger3", "pinky3"),
            ),
        ):
            np.testing.assert_allclose(points[keypoint], at[joints.index(joint)], atol=1e-3)


def test_the_prior_is_that_of_the_files_poses(right):
    arrays = made_hand()
    numbers = hand_prior(right).numbers
    poses = arrays["hands_coeffs"] @ arrays["hands_components"]
    whitening = numbers.whitenings[0, :45, :45].astype(float)
    np.testing.assert_allclose(numbers.means[0, :45], arrays["hands_mean"], atol=1e-6)
    covariance = np.linalg.inv(whitening.T @ whitening)
    # The factors of the components are taken for independent.
    sampled = np.cov(poses.T) + 0.01 * np.eye(45)
    np.testing.assert_allclose(np.diag(covariance), np.diag(sampled), rtol=0.25)
    assert not numbers.whitenings[0, :, 45:].any()
    with pytest.raises(InputError, match="no mean pose of a hand"):
        hand_prior(right.__class__(right.body, right.faces, 0, {}, ""))


def test_hands_begin_in_every_direction(right):
    turns = beginnings(right.body)
    quarters = matrix_from_axis_angle(np.array([[0, k * np.pi / 2, 0] for k in range(4)]))
    rotations = (quarters[:, None] @ turns).reshape(-1, 9)
    assert len(np.unique(rotations.round(6), axis=0)) == 24
    assert beginnings(drawn_body()).shape == (1, 3, 3)


def test_known_hands_are_found_again(right, hands):
    _, _, _, points = hands
    scores = np.ones((5, 21))
    scores[4, [16, 20]] = 0
    pixels = project(CAMERA, points)
    found = fit_body(right.body, HAND21, pixels, scores, CAMERA, prior=hand_prior(right))
    np.testing.assert_array_equal(found.used, [21, 21, 21, 21, 19])
    assert found.error.max() < 4
    aligned = move(procrustes(found.keypoints.astype(float), points), found.keypoints)
    away = np.linalg.norm(aligned - points, axis=-1).mean(axis=-1)
    assert away.max() < 9  # mm; hands are 190 mm long
    # The left hands of the mirrored image are the mirror images.
    other = pixels * [-1, 1] + [WH[0] - 1, 0]
    left = mirrored(right)
    again = fit_body(left.body, HAND21, other, scores, CAMERA, prior=hand_prior(left))
    np.testing.assert_allclose(again.keypoints * [-1, 1, 1], found.keypoints, atol=8)
    with pytest.raises(InputError, match=r"bodies\.hands\.hand_prior"):
        fit_body(right.body, HAND21, pixels, scores, CAMERA)


def test_hands_fit_to_points_in_3d(right, hands):
    points = hands[3]
    found = fit_body_3d(right.body, HAND21, points, prior=hand_prior(right))
    away = np.linalg.norm(found.keypoints - points, axis=-1).mean(axis=-1)
    assert away.max() < 4
    assert jnp.isfinite(found.rotations).all()


def test_hands_of_a_track_have_one_shape_and_move_smoothly(right):
    prior, rng, at = hand_prior(right), np.random.default_rng(0), np.arange(5)
    local = np.broadcast_to(prior.numbers.means[0, :45].reshape(15, 3), (5, 15, 3))
    turns = 0.1 * at[:, None, None] * [0, 0, 1.0]
    rotations = matrix_from_axis_angle(np.concatenate([turns, local], axis=1))
    place = np.array([0, 0, 500]) + at[:, None] * [5, 0, 0]
    made = (v.astype(np.float32) for v in (np.zeros((5, 10)), rotations, place))
    truth = _points(right, *made)
    pixels = project(CAMERA, truth) + 2 * rng.standard_normal((5, 21, 2))
    times = np.zeros(5, int), at / 25
    seen = right.body, HAND21, pixels, np.ones((5, 21)), CAMERA, *times, Fitting(), prior
    smooth, alone = fit_tracks(*seen), fit_tracks(*seen, Smoothing(seconds=0))
    assert (smooth.shape == smooth.shape[0]).all() and np.ptp(alone.shape, axis=0).max() > 0.01
    bend = [acceleration_error(f.keypoints, truth) for f in (smooth, alone)]
    assert bend[0] < 0.5 * bend[1] and smooth.error.max() < 6
