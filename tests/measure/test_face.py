"""Pose of heads whose turn is known, and ratios of eyes and mouths that were drawn."""

import json

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.geometry import cameras, rotations
from jaxpose.measure import eye_aspect_ratio, head_pose, mouth_opening
from jaxpose.measure.face import _head
from jaxpose.skeletons import COCO17, FACE68, FACE98, FACE106, FACEMESH468

HW = (720, 1280)
FOCAL = 1280.0
TURNS = [
    (yaw, pitch, roll) for yaw in (-60, -25, 0, 40) for pitch in (-30, 0, 20) for roll in (-35, 10)
]


def seen(skeleton, yaw, pitch, roll, place=(60.0, -40.0, 900.0), head=None):
    """Landmarks `[K, 2]` of the mean head under a turn, NaN for the others."""
    columns, model = _head(skeleton)
    model = model if head is None else head
    turn = rotations.matrix_from_euler(np.radians([-yaw, -pitch, roll]), "YXZ")
    K = np.array([[FOCAL, 0, (HW[1] - 1) / 2], [0, FOCAL, (HW[0] - 1) / 2], [0, 0, 1]])
    camera = cameras.pinhole(K, np.eye(3), np.zeros(3))
    points = np.full((skeleton.num_keypoints, 2), np.nan)
    points[columns] = cameras.project(camera, model @ turn.T + np.array(place)[None])
    return points


@pytest.mark.parametrize("skeleton", [FACE68, FACE98, FACEMESH468, FACE106])
def test_turns_come_back(skeleton):
    points = np.stack([seen(skeleton, *turn) for turn in TURNS])
    found = head_pose(points, skeleton, HW, FOCAL)
    np.testing.assert_allclose(np.stack(found[:3], axis=-1), TURNS, atol=1e-3)
    np.testing.assert_allclose(found.position, np.tile([60.0, -40, 900], (len(TURNS), 1)), atol=0.1)
    assert found.error.max() < 1e-3


def test_signs_are_those_that_are_written():
    """Turns move the nose and the eyes in the image as their signs say."""
    index = FACE68.index
    place = (0.0, 0.0, 900.0)
    straight = seen(FACE68, 0, 0, 0, place)
    left, up, lean = (seen(FACE68, *turn, place) for turn in ((20, 0, 0), (0, 20, 0), (0, 0, 20)))
    assert left[index("nose_tip"), 0] > straight[index("nose_tip"), 0], "right in the image"
    assert up[index("nose_tip"), 1] < straight[index("nose_tip"), 1]
    assert (
        straight[index("left_eye_outer_corner"), 0] > straight[index("right_eye_outer_corner"), 0]
    )
    eyes = lean[index("left_eye_outer_corner")], lean[index("right_eye_outer_corner")]
    assert eyes[0][1] > eyes[1][1], "the left eye is lower, towards the left shoulder"


def errors_of_turns(noise, scale, heads=20, seed=0):
    """Mean errors of yaw, pitch and roll in degrees, over `TURNS` of each of `heads` heads.

    Heads differ from the mean one by 5 % in their sides and by 3 mm in each point. `noise` is the
    standard deviation of the landmarks in pixels, `scale` the factor of the given focal length.
    """
    rng = np.random.default_rng(seed)
    _, mean = _head(FACE68)
    turns = np.repeat(TURNS, heads, axis=0)
    points = np.stack(
        [
            seen(FACE68, *turn, head=mean * rng.normal(1, 0.05, 3) + rng.normal(0, 3, mean.shape))
            for turn in turns
        ]
    )
    points += rng.normal(0, noise, points.shape) if noise else 0.0
    found = head_pose(points, FACE68, HW, scale * FOCAL)
    return np.abs(np.stack(found[:3], axis=-1) - turns).mean(axis=0)


@pytest.mark.parametrize(
    ("noise", "scale", "yaw", "pitch", "roll"),
    [
        (0, 1.0, 2.67, 2.23, 1.62),
        (1, 1.0, 2.66, 2.24, 1.64),
        (2, 1.0, 2.74, 2.34, 1.74),
        (4, 1.0, 3.24, 2.79, 2.14),
        (0, 1.5, 2.84, 2.27, 1.64),
        (1, 1.5, 2.87, 2.27, 1.66),
        (2, 1.5, 3.0, 2.37, 1.76),
        (4, 1.5, 3.43, 2.8, 2.14),
    ],
)
def test_the_page_has_the_errors_by_noise_and_focal_length(noise, scale, yaw, pitch, roll):
    """The table of `.github/docs/faces.md`."""
    np.testing.assert_allclose(errors_of_turns(noise, scale), (yaw, pitch, roll), atol=0.06)


def test_missing_landmarks_leave_a_pose_or_a_gap():
    points = seen(FACE68, 20, 10, 5)
    columns, _ = _head(FACE68)
    some, few = points.copy(), points.copy()
    some[columns[:9]] = np.nan
    few[columns[:10]] = np.nan
    found = head_pose(np.stack([some, few]), FACE68, HW, FOCAL)
    assert found.yaw[0] == pytest.approx(20, abs=0.1) and np.isnan(found.yaw[1])
    written = json.loads(json.dumps(found.to_dict()))
    assert written["yaw"] == [pytest.approx(20, abs=0.1), None]
    assert written["position_mm"][1] == [None] * 3


def eye(skeleton, openness):
    """Eyes 30 wide and `openness` times as high, a mouth 50 wide and half as open."""
    points = np.full((skeleton.num_keypoints, 2), np.nan)

    def put(name, x, y):
        points[skeleton.index(name)] = x, y

    for side, outwards in (("right", -1), ("left", 1)):
        middle, half = outwards * 30, 15 * openness
        put(f"{side}_eye_outer_corner", middle + outwards * 15, 0)
        put(f"{side}_eye_inner_corner", middle - outwards * 15, 0)
        for lid, y in (("upper", -half), ("lower", half)):
            put(f"{side}_eye_{lid}_outer", middle + outwards * 5, y)
            put(f"{side}_eye_{lid}_inner", middle - outwards * 5, y)
        put(f"{side}_inner_mouth_corner", outwards * 25, 60)
    put("inner_upper_lip", 0, 60 - 12.5 * openness)
    put("inner_lower_lip", 0, 60 + 12.5 * openness)
    return points


@pytest.mark.parametrize("skeleton", [FACE68, FACE98])
def test_ratios_of_drawn_eyes_and_mouths(skeleton):
    points = np.stack([eye(skeleton, openness) for openness in (0.0, 0.1, 0.35)])
    np.testing.assert_allclose(
        eye_aspect_ratio(points, skeleton), [[0, 0], [0.1, 0.1], [0.35, 0.35]], atol=1e-12
    )
    np.testing.assert_allclose(mouth_opening(points, skeleton), [0, 0.05, 0.175], atol=1e-12)


def test_the_meshs_numbers_are_the_same_places():
    """The mesh's mirrored points exchange the eyes and leave the mouth."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (468, 2))
    mirrored = geometry.flip_keypoints(points[None], 100, FACEMESH468.flip_permutation)[0]
    plain, other = (eye_aspect_ratio(p, FACEMESH468) for p in (points, mirrored))
    np.testing.assert_allclose(other, plain[::-1], rtol=1e-9)
    lips = mouth_opening(points, FACEMESH468), mouth_opening(mirrored, FACEMESH468)
    np.testing.assert_allclose(*lips, rtol=1e-9)


def test_skeletons_without_a_face_are_refused():
    body = np.zeros((17, 2))
    with pytest.raises(InputError, match="'coco17' has 0 of the landmarks"):
        head_pose(body, COCO17, HW)
    for measured in (eye_aspect_ratio, mouth_opening):
        with pytest.raises(InputError, match="'coco17' has no points of the"):
            measured(body, COCO17)
    with pytest.raises(InputError, match=r"not \[\.\.\., 68, 2\]"):
        head_pose(body, FACE68, HW)
    with pytest.raises(InputError, match="focal length must be positive"):
        head_pose(seen(FACE68, 0, 0, 0), FACE68, HW, 0.0)
