"""Lifting's frames, targets, cameras and losses: the same numbers as the published code."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Sample
from jaxpose.codecs.lifting import (
    LiftingCodec,
    ScreenDepthCodec,
    Statistics,
    from_screen,
    to_screen,
)
from jaxpose.geometry import cameras, rotations
from jaxpose.losses import mpjpe, n_mpjpe, velocity
from jaxpose.metrics import mpjpe as metrics

METRE = 1000.0
INTRINSICS = np.float32([[1145.0, 0, 512.5], [0, 1143.8, 515.5], [0, 0, 1]])
IMAGE_WH = np.float32([1000, 1002])


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_parts3d.npz") as file:
        return {
            key: file[key] for key in file.files if key.startswith(("lifting/", "videopose3d/"))
        }


def case(golden, name):
    prefix = f"{name}/"
    return {k.removeprefix(prefix): a for k, a in golden.items() if k.startswith(prefix)}


def screens(*count):
    """Size of the image for each of `count` poses."""
    return jnp.broadcast_to(jnp.asarray(IMAGE_WH), (*count, 2))


def close(actual, expected, rtol=1e-5):
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def test_single_poses_are_standardised_as_in_mmpose(golden):
    arrays = case(golden, "lifting/image_pose_lifting")
    codec = LiftingCodec(
        frame="pixels",
        drop_root=True,
        input_statistics=Statistics(arrays["keypoints_mean"], arrays["keypoints_std"]),
        target_statistics=Statistics(arrays["target_mean"], arrays["target_std"]),
    )
    inputs = codec.inputs(jnp.asarray(arrays["keypoints"]))
    close(inputs.reshape(34, 1), arrays["keypoint_labels"])
    sample = Sample(arrays["lifting_target_visible"], keypoints_3d=METRE * arrays["lifting_target"])
    targets, weights = codec.encode(sample)
    known = weights > 0  # MMPose has values of the others, too
    close(targets[known], arrays["lifting_target_label"][known])
    np.testing.assert_array_equal(weights, arrays["lifting_target_weight"])
    decoded = codec.decode(jnp.asarray(arrays["pred"])) / METRE
    close(decoded + arrays["target_root"][:, None], arrays["decoded"])


def test_frames_of_a_window_are_those_of_mmpose(golden):
    arrays = case(golden, "lifting/video_pose_lifting")
    codec = LiftingCodec()
    # MMPose's zero is the principal point of the camera, in units of half the width.
    screen = codec.inputs(jnp.asarray(arrays["keypoints"]), image_wh=screens(27))
    close(screen.reshape(27, 34).T, arrays["keypoint_labels"])
    sample = Sample(np.ones_like(arrays["weights"]), keypoints_3d=METRE * arrays["lifting_target"])
    close(codec.encode(sample).values, arrays["lifting_target_label"])


@pytest.mark.parametrize("mode", ["train", "test"])
def test_motionberts_targets_are_mmposes(golden, mode):
    arrays = case(golden, f"lifting/motionbert/{mode}")
    codec = ScreenDepthCodec()
    inputs = codec.inputs(jnp.asarray(arrays["keypoints"]), image_wh=screens(9))
    close(inputs, arrays["keypoint_labels"])


def test_cameras_are_those_of_videopose3d(golden):
    arrays = case(golden, "videopose3d/camera")
    rotation = rotations.matrix_from_quaternion(arrays["orientation"].astype(np.float64))
    # Theirs turns the world's axes by the inverse of the orientation.
    shift = -rotation.T @ arrays["translation"].astype(np.float64)
    camera = cameras.pinhole(INTRINSICS, rotation.T, shift)
    world = arrays["world"].astype(np.float64)
    close(cameras.world_to_camera(camera, world), arrays["camera"])
    close(cameras.camera_to_world(camera, arrays["camera"].astype(np.float64)), arrays["back"])
    pixels = jnp.asarray(arrays["pixels"])
    close(to_screen(pixels, screens(3)), arrays["normalised"])
    close(from_screen(jnp.asarray(arrays["normalised"]), screens(3)), arrays["restored"])


def test_losses_are_those_of_videopose3d(golden):
    arrays = case(golden, "videopose3d/losses")
    predicted, truth = (jnp.asarray(arrays[name]) for name in ("pred", "gt"))
    ones = jnp.ones(predicted.shape[:-1])
    close(mpjpe(predicted, truth, ones), arrays["mpjpe"])
    close(mpjpe(predicted, truth, ones * arrays["w"]), arrays["weighted"])
    close(n_mpjpe(predicted, truth, ones), arrays["n_mpjpe"])
    close(metrics.p_mpjpe(arrays["pred"], arrays["gt"]), arrays["p_mpjpe"])
    close(metrics.mpjve(arrays["pred"], arrays["gt"]), arrays["velocity"])
    steps = predicted[None], truth[None], ones[None]
    close(velocity(*steps), arrays["velocity"])
