"""Depths of faces in an image: from the crop to pixels of the image, and bad input."""

import jax
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.hub.face_depth import FaceDepths, load_face_depth
from jaxpose.models.face_depth import FaceDepth
from jaxpose.models.published.fan import PADDING

MODEL = FaceDepth(num_keypoints=3, blocks=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def depths():
    image, points = np.zeros((1, 256, 256, 3), np.float32), np.zeros((1, 3, 2), np.float32)
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), image, points)
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda x: rng.uniform(0, 0.2, x.shape).astype(np.float32), shapes)
    return FaceDepths(MODEL, drawn)


def test_depths_are_in_pixels_of_the_image(depths):
    """An enlarged image has the same crop, and depths that are as much larger."""
    rng = np.random.default_rng(0)
    small = np.repeat(np.repeat(rng.integers(0, 255, (24, 24, 3), np.uint8), 16, 0), 16, 1)
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    side = 256 / PADDING
    box = np.array([[50.0, 60, side, side]])
    points = np.array([[[100.0, 120], [130, 150], [90, 180]]])
    one = depths(small, points, box)
    two = depths(large, 2 * points + 0.5, 2 * box)
    assert one.shape == (1, 3) and np.ptp(one) > 0
    np.testing.assert_allclose(two, 2 * one, rtol=0.02)
    # At this size the crop has the scale of the image.
    matrix = geometry.box_crop_matrix(box[0], (256, 256), padding=PADDING, udp="edges")
    crop = geometry.crop_image(small, matrix, (256, 256))[None].astype(np.float32) / 255
    placed = geometry.apply_affine(matrix, points[0])[None].astype(np.float32)
    expected = MODEL.apply(depths.variables, crop, placed)
    np.testing.assert_allclose(one, expected, rtol=1e-4)


def test_arrays_that_do_not_fit_are_refused(depths):
    image = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(InputError, match=r"keypoints \[N, 3, 2\]"):
        depths(image, np.zeros((1, 5, 2)), np.ones((1, 4)))
    with pytest.raises(InputError, match="some are NaN"):
        depths(image, np.full((1, 3, 2), np.nan), np.ones((1, 4)))


def test_files_of_other_networks_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **{"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    with pytest.raises(InputError, match="no network of depths"):
        load_face_depth(tmp_path / "a.npz")
