"""Crops and cameras of models of meshes: a point has one place in the crop and in the image."""

import cv2
import numpy as np

from jaxpose import geometry
from jaxpose.codecs import MeshCodec
from jaxpose.geometry.cameras import centred_camera, project
from jaxpose.geometry.weak_cameras import weak_projection

BOXES = np.array([[40.0, 30, 100, 260], [300, 120, 220, 90]])
IMAGE_HW = (400, 600)


def test_a_body_is_where_the_network_saw_it():
    # A focal length at which perspective is below a thousandth of a pixel.
    codec = MeshCodec(focal=1e6)
    matrices = codec.matrices(BOXES, 1.0)
    cameras = np.array([[0.9, 0.1, -0.2], [0.7, -0.3, 0.25]])
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 9, 3))
    places = codec.translations(cameras, matrices, IMAGE_HW)
    image = np.stack(
        [
            project(centred_camera(codec.focal_of(IMAGE_HW), IMAGE_HW), 1000 * body + place)
            for body, place in zip(points, places, strict=True)
        ]
    )
    # -1 to 1 is the square as high as the crop, whose middle is at (W / 2, H / 2).
    in_crop = weak_projection(cameras, points) * 128 + np.array([96.0, 128.0])
    expected = geometry.apply_affine(geometry.invert_affine(matrices), in_crop)
    np.testing.assert_allclose(image, expected, atol=5e-3)


def test_a_known_focal_length_changes_the_distance_alone():
    codec = MeshCodec()
    matrices = codec.matrices(BOXES[:1], 1.0)
    camera = np.array([[0.9, 0.0, 0.0]])
    near = codec.translations(camera, matrices, IMAGE_HW, focal=500.0)[0]
    far = codec.translations(camera, matrices, IMAGE_HW, focal=1000.0)[0]
    np.testing.assert_allclose(far[:2], near[:2])
    np.testing.assert_allclose(far[2], 2 * near[2])


def test_only_strong_reductions_are_blurred_and_as_the_whole_image():
    image = np.random.default_rng(0).integers(0, 255, (1200, 900, 3), np.uint8)
    small, large = np.array([[300.0, 400, 120, 160]]), np.array([[60.0, 50, 780, 1040]])
    sharp, smooth = MeshCodec(), MeshCodec(blurred=True)
    matrix = sharp.matrices(small, 1.0)[0]
    np.testing.assert_array_equal(smooth.crop(image, matrix), sharp.crop(image, matrix))
    matrix = sharp.matrices(large, 1.0)[0]
    sigma = (1040 / 256 / 2 - 1) / 2  # of the published code
    expected = sharp.crop(cv2.GaussianBlur(image, (0, 0), sigma), matrix)
    inside = np.s_[8:-8, 8:-8]
    found = smooth.crop(image, matrix)
    assert np.abs(found[inside].astype(int) - expected[inside]).max() <= 2
    assert np.abs(found.astype(int) - sharp.crop(image, matrix)).mean() > 5
