"""ICP with depth images: nearer poses, poses that stay, and wrong depths."""

import sys

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry.rigid import RigidPose
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.metrics.object_pose import add, rotation_error
from jaxpose.objects.depth_refinement import check_depth_unit, points_of_depth, refine_by_depth
from jaxpose.objects.drawn import drawn_objects
from jaxpose.objects.drawn_scenes import draw_scene

SCENE = draw_scene(7, 3, (120, 120), (4,))
CAMERA_MODEL, TRUE = SCENE.objects[0], SCENE.poses.take(0)


def moved(degrees, mm):
    turn = matrix_from_axis_angle(np.deg2rad(np.asarray(degrees, float)))
    return RigidPose(turn @ TRUE.R, TRUE.t + np.asarray(mm, float))


def test_icp_comes_nearer_to_the_true_pose():
    pytest.importorskip("small_gicp")
    start = moved((4, -3, 3), (3, -2, 18))
    fit = refine_by_depth(start, CAMERA_MODEL, SCENE.depth, SCENE.camera)
    assert add(start, TRUE, CAMERA_MODEL.points) > 0.1 * CAMERA_MODEL.diameter
    assert add(fit.pose, TRUE, CAMERA_MODEL.points) < 0.02 * CAMERA_MODEL.diameter
    assert rotation_error(fit.pose, TRUE) < 1.5
    assert fit.agreement > 0.9
    np.testing.assert_allclose(fit.pose.R @ fit.pose.R.T, np.eye(3), atol=1e-9)


def test_depths_that_support_nothing_leave_the_pose():
    pytest.importorskip("small_gicp")
    start = moved((4, -3, 3), (3, -2, 18))
    for depth in (np.zeros_like(SCENE.depth), np.where(SCENE.depth > 0, 5000.0, 0.0)):
        fit = refine_by_depth(start, CAMERA_MODEL, depth, SCENE.camera)
        np.testing.assert_array_equal(fit.pose.t, start.t)
        assert fit.agreement == 0
    outside = moved((0, 0, 0), (5000, 0, 0))
    assert refine_by_depth(outside, CAMERA_MODEL, SCENE.depth, SCENE.camera).pose is outside


def test_points_project_to_their_pixels():
    lens = np.array([0.1, -0.05, 0.002, 0.001, 0.0])
    camera = SCENE.camera._replace(distortion=lens)
    import cv2

    there = np.zeros((120, 120), bool)
    there[[10, 90], [100, 30]] = True
    points = points_of_depth(np.full((120, 120), 700.0), there, camera)
    pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, lens)
    np.testing.assert_allclose(pixels[:, 0], [[100, 10], [30, 90]], atol=1e-3)
    np.testing.assert_array_equal(points[:, 2], 700)


@pytest.mark.parametrize("factor", [0.1, 1000.0])
def test_a_wrong_unit_of_depths_is_named(factor):
    found = [(TRUE, CAMERA_MODEL), (moved((0, 0, 0), (0, 0, 60)), CAMERA_MODEL)]
    check_depth_unit(found, SCENE.depth, SCENE.camera, "000003.png")
    with pytest.raises(InputError, match=r"000003.png: its depths are .* depth_scale"):
        check_depth_unit(found, SCENE.depth * factor, SCENE.camera, "000003.png")


def test_what_icp_cannot_use_is_named(monkeypatch):
    with pytest.raises(InputError, match="all its values are 0"):
        check_depth_unit([(TRUE, CAMERA_MODEL)], 0 * SCENE.depth, SCENE.camera, "a")
    monkeypatch.setitem(sys.modules, "small_gicp", None)
    with pytest.raises(InputError, match=r'needs small_gicp: pip install "jaxpose\[icp\]"'):
        refine_by_depth(TRUE, drawn_objects()[0], SCENE.depth, SCENE.camera)
