"""People without a place before cameras with one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.data.motion import Clip, motion_of
from jaxpose.data.virtual_cameras import before_each_camera, before_random_cameras, placed, upright
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import camera_to_world, look_at, pinhole, project, stack
from jaxpose.skeletons import H36M17

WH = (1000, 1000)
K = np.array([[1100.0, 0, 500], [0, 1100, 500], [0, 0, 1]])


def views(count):
    """Cameras on a circle of five metres, at 1.5 m, towards the middle."""
    cameras = []
    for angle in np.linspace(0, 6, count):
        place = np.array([5000 * np.cos(angle), 5000 * np.sin(angle), 1500.0])
        R, t = look_at(place, np.array([0.0, 0, 1000]), np.array([0.0, 0, 1]))
        cameras.append(pinhole(K, R, t, [-0.2, 0.1, 0.001, 0.001, 0.0]))
    return stack(cameras)


def poses(frames):
    rng = np.random.default_rng(0)
    return rng.uniform(-400, 400, (frames, 17, 3)) + np.array([0, 900, 0.0])


def world_motion():
    clips = [
        Clip(poses(3), split="test", subject="S9", action="walking", name="walking_1"),
        Clip(poses(2), split="test", subject="S4", action="eating", name="eating_1"),
    ]
    return motion_of(H36M17, clips, frame="world", up="y")


def test_a_person_stands_on_the_floor_turned_and_moved():
    joints = upright(poses(4), "y")[None]
    assert np.allclose(upright(joints, "z"), joints)
    np.testing.assert_allclose(joints[..., 2], poses(4)[None, ..., 1])
    there = placed(joints, np.array([0.7]), np.array([[300.0, -200.0]]))
    assert there[..., 2].min() == 0

    def lengths(points):
        return np.linalg.norm(points[..., 1:, :] - points[..., :-1, :], axis=-1)

    np.testing.assert_allclose(lengths(there), lengths(joints))
    back = placed(there, np.array([-0.7]), np.zeros((1, 2)))
    moved = back[..., :2] - joints[..., :2]
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1, :1], moved.shape))


def test_every_clip_is_seen_by_its_subjects_cameras_or_by_all():
    cameras = {"S9": views(2), "S11": views(3)}
    seen = before_each_camera(world_motion(), cameras, WH, 1000.0)
    assert seen.subject.tolist() == ["S9"] * 2 + ["S4"] * 5
    assert seen.frame == "camera" and seen.length.tolist() == [3] * 2 + [2] * 5
    views_of = seen.cameras
    for clip, end in enumerate(np.cumsum(seen.length)):
        frames = slice(end - seen.length[clip], end)
        world = camera_to_world(views_of.take(clip), seen.joints_mm[frames].astype(np.float64))
        assert abs(world[..., 2].min()) < 1e-2
        pixels = project(views_of.take(clip), world)
        # Half a hundredth of a pixel: the joints are stored in float32.
        np.testing.assert_allclose(seen.keypoints[frames], pixels, atol=5e-3)
        if clip == 0:
            first = world
        elif clip == 1:
            np.testing.assert_allclose(world, first, atol=1e-2)
    again = before_each_camera(world_motion(), cameras, WH, 1000.0)
    np.testing.assert_array_equal(again.keypoints, seen.keypoints)


@pytest.mark.slow
def test_training_sees_every_window_anew():
    joints = upright(poses(4), "y").astype(np.float32)[:, None]
    cameras = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), views(4))
    draw = jax.jit(lambda key: before_random_cameras(key, joints, cameras, 500.0))
    local, pixels, drawn = draw(jax.random.key(0))
    assert local.shape == (4, 1, 17, 3) and pixels.shape == (4, 1, 17, 2)
    assert (np.asarray(local)[..., 2] > 3000).all()
    assert drawn.K.shape == (4, 3, 3)
    world = camera_to_world(drawn, np.asarray(local)[:, 0])
    np.testing.assert_allclose(project(drawn, world), pixels[:, 0], atol=0.05)
    others, _, _ = draw(jax.random.key(1))
    assert np.abs(np.asarray(others) - np.asarray(local)).max() > 100


def test_people_behind_a_camera_are_refused():
    with pytest.raises(InputError, match="behind the camera"):
        before_each_camera(world_motion(), {"S9": views(2), "S4": views(2)}, WH, 50_000.0)
