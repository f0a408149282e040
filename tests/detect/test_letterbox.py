"""Photos on canvases: where their pixels go, and boxes back again."""

import numpy as np
import pytest

from jaxpose.detect.letterbox import letterbox, stretch
from jaxpose.errors import InputError


@pytest.mark.parametrize(
    ("image_hw", "new_hw"),
    [
        ((200, 400), (32, 64)),
        ((400, 200), (64, 32)),
        ((64, 64), (64, 64)),
        ((1, 1), (64, 64)),
        ((3, 20_000), (1, 64)),
        ((20_000, 3), (64, 1)),
    ],
)
def test_the_photo_fills_the_upper_left_and_the_rest_is_grey(image_hw, new_hw):
    box = letterbox(np.full((*image_hw, 3), 7, np.uint8), (64, 64))
    inside = np.zeros((64, 64), bool)
    inside[: new_hw[0], : new_hw[1]] = True
    assert (box.canvas[inside] == 7).all() and (box.canvas[~inside] == 114).all()
    whole = box.to_image(np.array([[0, 0, new_hw[1], new_hw[0]]], np.float32))
    np.testing.assert_allclose(whole, [[0, 0, image_hw[1], image_hw[0]]], rtol=1e-6)


def test_boxes_are_cut_at_the_photo():
    box = letterbox(np.zeros((100, 200, 3), np.uint8), (64, 64))
    found = box.to_image(np.array([[-5, -5, 32, 16], [32, 16, 90, 90]], np.float32))
    np.testing.assert_allclose(found, [[0, 0, 100, 50], [100, 50, 100, 50]], rtol=1e-6)


def test_a_stretched_photo_fills_the_canvas():
    box = stretch(np.full((30, 400, 3), 7, np.uint8), (64, 32))
    assert box.canvas.shape == (64, 32, 3) and (box.canvas == 7).all()
    found = box.to_image(np.array([[8, 32, 40, 64]], np.float32))
    np.testing.assert_allclose(found, [[100, 15, 300, 15]], rtol=1e-6)


def test_a_shrunken_photo_is_opencvs():
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    canvas = letterbox(image, (64, 64)).canvas
    np.testing.assert_array_equal(canvas[:48], cv2.resize(image, (64, 48)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"uint8 RGB \[H, W, 3\], not uint8 \[8, 8\]"),
        (np.zeros((8, 8, 1), np.uint8), "read_image"),
        (np.zeros((8, 8, 4), np.uint8), r"not uint8 \[8, 8, 4\]"),
        (np.zeros((8, 8, 3), np.float32), "not float32"),
        (np.zeros((0, 8, 3), np.uint8), "8 x 0 pixels"),
        ("photo.jpg", "not str"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_photo_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        letterbox(image, (64, 64))
    with pytest.raises(InputError, match=message):
        stretch(image, (64, 64))
