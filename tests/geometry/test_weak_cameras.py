"""Cameras of crops: values of the published code."""

import numpy as np
import pytest

from jaxpose.geometry import weak_cameras
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.procrustes import move, procrustes


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_mesh.npz") as file:
        return dict(file)


def close(found, expected):
    assert np.abs(found - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1)


def test_crops_and_whole_images_are_hmr2s(golden):
    cam, center, size, wh = (
        golden[f"camera/crop_to_full/{name}"]
        for name in ("cam", "box_center", "box_size", "img_size")
    )
    full = weak_cameras.translation_in_image(cam, center, size, wh, np.full(2, 5000.0))
    close(full, golden["camera/crop_to_full/value_5000"])
    focal = 5000 / 256 * wh.max(axis=-1)
    close(focal, golden["camera/crop_to_full/focal"])
    scaled = weak_cameras.translation_in_image(cam, center, size, wh, focal)
    close(scaled, golden["camera/crop_to_full/value_scaled"])


def test_a_crops_camera_projects_as_hmr2s(golden):
    case = {
        name: golden[f"camera/weak_to_perspective/{name}"]
        for name in ("cam", "points", "translation", "keypoints")
    }
    moved = weak_cameras.translation_in_crop(case["cam"], 5000.0)
    close(moved, case["translation"])
    f = 5000 / 256
    for t, points, keypoints in zip(moved, case["points"], case["keypoints"], strict=True):
        camera = pinhole([[f, 0, 0], [0, f, 0], [0, 0, 1]], np.eye(3), t)
        close(project(camera, points.astype(np.float64)), keypoints)


def test_orthographic_projection_is_spins(golden):
    cam, points, value = (
        golden[f"camera/weak_orthographic/{name}"] for name in ("cam", "points", "value")
    )
    close(weak_cameras.weak_projection(cam, points), value)


def test_alignment_never_mirrors(golden):
    a, b = golden["metric/procrustes/a"], golden["metric/procrustes/b"]
    close(move(procrustes(a, b), a), golden["metric/procrustes/aligned"])
