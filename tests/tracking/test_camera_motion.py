"""Motion of the background between frames, of a drawn texture that is moved exactly."""

import cv2
import numpy as np

from jaxpose.tracking.camera_motion import STILL, CameraMotion


def scene(camera: np.ndarray, person_x: int, hw=(720, 960)) -> np.ndarray:
    """Texture moved by `camera [2, 3]`, with a checked person of 200 x 400 pixels before it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (45, 60, 3), np.uint8)
    texture = cv2.resize(coarse, (960, 720), interpolation=cv2.INTER_CUBIC)
    image = cv2.warpAffine(texture, camera, hw[::-1], borderMode=cv2.BORDER_REFLECT)
    checks = np.indices((400, 200)).sum(axis=0) // 20 % 2 * 255
    image[200:600, person_x : person_x + 200] = checks[..., None]
    return image


def test_a_pan_and_a_zoom_are_found_while_a_person_walks():
    motion = CameraMotion()
    boxes = np.array([[300.0, 200, 200, 400]])
    np.testing.assert_array_equal(motion(scene(STILL, 300), boxes), STILL)
    pan = np.array([[1.0, 0, 14], [0, 1, -6]])
    found = motion(scene(pan, 270), boxes)
    np.testing.assert_allclose(found, pan, atol=0.6)
    np.testing.assert_allclose(found[:, :2], np.eye(2), atol=2e-3)
    # From there a zoom by 3 % about the pixel (480, 360).
    zoom = np.array([[1.03, 0, -0.03 * 480], [0, 1.03, -0.03 * 360]])
    both = zoom[:, :2] @ pan[:, :2], zoom[:, :2] @ pan[:, 2] + zoom[:, 2]
    found = motion(scene(np.column_stack(both), 240), boxes)
    corners = np.array([[0.0, 0], [959, 0], [0, 719], [959, 719]])
    away = corners @ (found - zoom)[:, :2].T + (found - zoom)[:, 2]
    assert np.abs(away).max() < 1.5


def test_nothing_to_follow_is_a_still_camera():
    motion = CameraMotion()
    blank = np.full((120, 160, 3), 90, np.uint8)
    for image in (blank, blank, np.zeros((60, 80, 3), np.uint8)):
        np.testing.assert_array_equal(motion(image, np.zeros((0, 4))), STILL)
