"""Drawn people who move: the same every time, on rigid bones, before their cameras."""

import numpy as np
import pytest

from jaxpose.data.motion import read_motion, write_motion
from jaxpose.data.synthetic.motion import synthetic_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import camera_to_world, project
from jaxpose.motion.bones import consistency
from jaxpose.skeletons import H36M17


@pytest.fixture(scope="module")
def motion():
    return synthetic_motion(3, clips=10, frames=20)


def test_a_pure_function_of_its_arguments(motion, tmp_path):
    again = synthetic_motion(3, clips=5, frames=20)
    np.testing.assert_array_equal(again.joints_mm, motion.joints_mm[:100])
    other = synthetic_motion(3, clips=5, frames=20, split="val")
    assert np.abs(other.joints_mm - again.joints_mm).max() > 100
    write_motion(tmp_path / "a.npz", motion)
    np.testing.assert_array_equal(read_motion(tmp_path / "a.npz").keypoints, motion.keypoints)


def test_bodies_before_cameras(motion):
    for clip in range(10):
        rows = slice(20 * clip, 20 * clip + 20)
        camera, joints = motion.cameras.take(clip), motion.joints_mm[rows]
        # Hips, legs and arms are rigid; the spine bends.
        spread = consistency(joints, H36M17.limb_indices).spread
        stiff = [not {"spine", "thorax"} & set(limb) for limb in H36M17.limbs]
        assert spread[stiff].max() < 1e-4
        world = camera_to_world(camera, joints.reshape(-1, 3).astype(float))
        np.testing.assert_allclose(world.reshape(20, 17, 3)[..., 2].min(axis=1), 0, atol=1)
        pixels = project(camera, world).reshape(20, 17, 2)
        np.testing.assert_allclose(pixels, motion.keypoints[rows], atol=0.01)
        steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        assert 5 < steps.max() < 700  # mm in 40 ms: a runner's foot comes to 15 m/s at most
    assert set(motion.action) == {"Walk", "Run", "Wave", "Reach", "Squat"}


def test_noise_is_added_to_the_keypoints_only(motion):
    noisy = synthetic_motion(3, clips=10, frames=20, noise=2.0)
    np.testing.assert_array_equal(noisy.joints_mm, motion.joints_mm)
    assert np.std(noisy.keypoints - motion.keypoints) == pytest.approx(2.0, rel=0.03)
    with pytest.raises(InputError, match="0 clips"):
        synthetic_motion(clips=0)
