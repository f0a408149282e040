"""Cameras against OpenCV, their inverses, gradients, random views and refusals."""

import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera

LENS = (-0.2, 0.25, -0.0014, -0.001, -0.003)  # of the size of Human3.6M's


def views(number: int = 3) -> Camera:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(number):
        position = rng.normal(size=3) * 500 + [0, -5000, 1500]
        R, t = cameras.look_at(position, np.array([0.0, 0, 900]), np.array([0.0, 0, 1]))
        K = np.array([[1145.0, 0, 512], [0, 1140, 510], [0, 0, 1]])
        made.append(cameras.pinhole(K, R, t, LENS))
    return cameras.stack(made)


def people(*lead: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-700, 700, (*lead, 3)) + np.array([0, 0, 900])


def as_jax(camera: Camera) -> Camera:
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), camera)


def test_projection_equals_opencv():
    camera, points = views(1).take(0), people(20)
    expected, _ = cv2.projectPoints(
        points, cv2.Rodrigues(camera.R)[0], camera.t, camera.K, camera.distortion
    )
    np.testing.assert_allclose(cameras.project(camera, points), expected[:, 0], atol=1e-8)


def test_undistortion_equals_opencv():
    camera = views(1).take(0)
    pixels = np.random.default_rng(2).uniform(0, 1000, (50, 2))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    # OpenCV 4 has a function of its own for a stated precision; OpenCV 5 an argument.
    precise = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
    expected = precise(
        pixels[:, None], camera.K, camera.distortion, R=None, P=None, criteria=criteria
    )
    np.testing.assert_allclose(cameras.normalise(camera, pixels), expected[:, 0], atol=1e-9)


@pytest.mark.parametrize("convert", [lambda c: c, as_jax], ids=["numpy", "jax"])
def test_there_and_back(convert):
    camera = convert(views(3))
    points = people(3, 8)
    # Rounding of float32 at 5 m is 0.0005 mm an operation.
    tolerance = 1e-8 if isinstance(camera.t, np.ndarray) else 0.05
    local = cameras.world_to_camera(camera, points)
    np.testing.assert_allclose(cameras.camera_to_world(camera, local), points, atol=tolerance)
    pixels = cameras.project(camera, points)
    again = cameras.back_project(camera, pixels, local[..., 2])
    np.testing.assert_allclose(again, points, atol=tolerance)
    position, direction = cameras.rays(camera, pixels)
    offset = points - np.asarray(position)
    missed = np.cross(offset, np.asarray(direction))
    assert np.abs(missed).max() <= tolerance


def test_leading_axes_broadcast():
    camera, points = as_jax(views(3)), jnp.asarray(people(4, 5))
    one_by_one = [cameras.project(camera.take(i), points) for i in range(3)]
    at_once = cameras.project(camera.take((slice(None), None)), points)
    np.testing.assert_allclose(at_once, np.stack(one_by_one), atol=1e-2)
    depth = jnp.ones((4, 5))
    world = cameras.back_project(camera.take((slice(None), None)), at_once, depth)
    assert world.shape == (3, 4, 5, 3)
    position, direction = cameras.rays(camera.take(0), at_once)
    assert (position.shape, direction.shape) == ((1, 1, 1, 3), (3, 4, 5, 3))


@pytest.mark.slow
def test_undistortion_is_differentiable():
    camera = as_jax(views(1).take(0))
    points = jnp.asarray(people(6), jnp.float32)

    def there_and_back(points):
        pixels = cameras.project(camera, points)
        depth = cameras.world_to_camera(camera, points)[..., 2]
        return cameras.back_project(camera, pixels, depth)

    slope = jax.jacobian(there_and_back)(points).reshape(18, 18)
    np.testing.assert_allclose(slope, np.eye(18), atol=2e-3)


def test_random_cameras_see_their_subjects():
    subjects = jnp.asarray([[0.0, 0, 900], [4000, 1000, 900], [-3000, 500, 0]] * 20)
    seen = jax.jit(cameras.random_cameras)(jax.random.key(0), subjects)
    cameras.check_cameras(seen)
    pixels = cameras.project(seen, subjects[:, None])[:, 0]
    local = cameras.world_to_camera(seen, subjects[:, None])[:, 0]
    assert np.all(local[:, 2] > 2000)
    assert np.all((pixels > 0) & (pixels < 1000))
    # Upright: a point above the subject appears above it, and y points down.
    above = cameras.project(seen, subjects[:, None] + jnp.asarray([[[0.0, 0, 500]]]))[:, 0]
    assert np.all(above[:, 1] < pixels[:, 1])
    again = cameras.random_cameras(jax.random.key(0), subjects)
    np.testing.assert_allclose(seen.R, again.R, atol=1e-5)
    assert np.abs(np.diff(np.asarray(seen.R)[:, 0, 0])).max() > 0.5


def test_real_cameras_are_accepted(shared):
    path = shared / "data" / "lifting" / "h36m_cameras" / "camera-parameters.json"
    document = json.loads(path.read_text())
    for placed in document["extrinsics"].values():
        for name, view in placed.items():
            lens = document["intrinsics"][name]
            cameras.pinhole(lens["calibration_matrix"], view["R"], view["t"], lens["distortion"])


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("t", lambda t: t * np.nan, "camera 'left': t has values that are not finite"),
        ("R", lambda R: R * [[[-1], [1], [1]]], "R mirrors the world"),
        ("R", lambda R: R * 0, "R is singular"),
        ("R", lambda R: R * 1.1, "not orthonormal"),
        ("K", lambda K: K * 0, "not an intrinsic matrix"),
        ("distortion", lambda d: d[:, :4], "of shapes"),
    ],
)
def test_what_is_no_camera(field, change, message):
    camera = views(2)
    with pytest.raises(InputError, match=message):
        cameras.check_cameras(
            camera._replace(**{field: change(getattr(camera, field))}), ("left", "right")
        )


def test_too_many_distortion_terms():
    camera = views(1).take(0)
    with pytest.raises(InputError, match="12 distortion terms"):
        cameras.pinhole(camera.K, camera.R, camera.t, np.ones(12))
    short = cameras.pinhole(camera.K, camera.R, camera.t[:, None], [0.1, 0.2])
    np.testing.assert_array_equal(short.distortion, [0.1, 0.2, 0, 0, 0])
    rational = cameras.pinhole(camera.K, camera.R, camera.t, np.arange(8) / 100)
    both = cameras.stack([short, rational])
    np.testing.assert_array_equal(both.distortion[:, 5:], [[0, 0, 0], [0.05, 0.06, 0.07]])
