"""Lifting codecs: what is published, round trips, mirrors, what is missing."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs.lifting import (
    LiftingCodec,
    ScreenDepthCodec,
    Statistics,
    from_screen,
    root_of,
    root_place,
    to_box,
    to_screen,
)
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.mirror import mirror
from jaxpose.skeletons import COCO17, FACE68, H36M17, HUMANEVA15

rng = np.random.default_rng(0)
ROOT = np.array([100.0, -50.0, 4000.0])
JOINTS = (ROOT + rng.normal(scale=300, size=(2, 3, 17, 3))).astype(np.float32)
LABELLED = np.ones((2, 3, 17), np.int32)
SAMPLE = Sample(jnp.asarray(LABELLED), keypoints_3d=jnp.asarray(JOINTS))
KEYPOINTS = rng.uniform(200, 800, size=(2, 3, 17, 2)).astype(np.float32)
WH = np.broadcast_to(np.array([1000, 1002]), (2, 3, 2))
K = np.array([[1145.0, 0, 512], [0, 1143, 515], [0, 0, 1]], np.float32)
FLIP = H36M17.flip_permutation
# Tolerances: float32 values of some thousand millimetres, or of order one.
MM, ONE = 2e-3, 1e-5


def test_the_screen_keeps_the_aspect():
    corners = jnp.asarray([[0.0, 0.0], [1000.0, 500.0], [500.0, 250.0]])
    screen = to_screen(corners, jnp.asarray([1000, 500]))
    np.testing.assert_allclose(screen, [[-1, -0.5], [1, 0.5], [0, 0]], atol=ONE)
    np.testing.assert_allclose(
        from_screen(screen, jnp.asarray([1000, 500])), corners, atol=ONE * 1000
    )


def test_the_box_spans_its_longer_side():
    corners = jnp.asarray([[10.0, 20.0], [30.0, 60.0]])
    values = to_box(corners, jnp.asarray([10.0, 20.0, 20.0, 40.0]))
    np.testing.assert_allclose(values, [[-0.5, -1], [0.5, 1]], atol=ONE)


def test_the_image_plane_takes_camera_and_lens_out():
    camera = pinhole(K, np.eye(3), np.zeros(3), [-0.2, 0.2, -1e-3, -1e-3, 0.0])
    pixels = project(camera, JOINTS.astype(np.float64))
    codec = LiftingCodec(frame="image plane")
    inputs = codec.inputs(jnp.asarray(pixels), camera=type(camera)(*map(jnp.asarray, camera)))
    np.testing.assert_allclose(inputs, JOINTS[..., :2] / JOINTS[..., 2:], atol=ONE)


def test_martinez_standardises_by_the_training_set():
    """MMPose's ImagePoseLifting: root removed, both sides by their own statistics."""
    relative = JOINTS - JOINTS[..., :1, :]
    targets = np.delete(relative, 0, axis=-2) / 1000
    codec = LiftingCodec(
        frame="pixels",
        drop_root=True,
        input_statistics=Statistics.of(KEYPOINTS.reshape(-1, 17, 2)),
        target_statistics=Statistics.of(targets.reshape(-1, 16, 3)),
    )
    inputs = codec.inputs(jnp.asarray(KEYPOINTS))
    np.testing.assert_allclose(np.mean(inputs, axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(inputs, axis=(0, 1)), 1, atol=1e-4)
    encoded, weights = codec.encode(SAMPLE)
    assert encoded.shape == (2, 3, 16, 3) and weights.shape == (2, 3, 16)
    np.testing.assert_allclose(np.mean(encoded, axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(codec.decode(encoded), relative, atol=MM)


@pytest.mark.parametrize("root", [(0,), (4, 1)])
def test_targets_are_metres_from_the_root(root):
    codec = LiftingCodec(root=root)
    targets, weights = codec.encode(SAMPLE)
    relative = JOINTS - JOINTS[..., root, :].mean(axis=-2, keepdims=True)
    np.testing.assert_allclose(targets, relative / 1000, atol=ONE)
    np.testing.assert_allclose(codec.decode(targets), relative, atol=MM)
    assert (np.asarray(weights) == 1).all()


def test_without_the_root_nothing_counts():
    labelled = LABELLED.copy()
    labelled[0, 0, 0] = 0
    labelled[1, 1, 5] = 0
    joints = np.where(labelled[..., None] > 0, JOINTS, np.nan)
    targets, weights = LiftingCodec().encode(
        Sample(jnp.asarray(labelled), keypoints_3d=jnp.asarray(joints))
    )
    assert np.isfinite(targets).all()
    assert np.asarray(weights)[0, 0].sum() == 0
    assert np.asarray(weights)[1, 1].tolist() == [1.0] * 5 + [0.0] + [1.0] * 11


def test_confidence_is_the_third_channel():
    codec = LiftingCodec(confidence=True)
    seen = jnp.asarray(rng.uniform(size=(2, 3, 17)), jnp.float32)
    inputs = codec.inputs(jnp.asarray(KEYPOINTS), image_wh=jnp.asarray(WH), confidence=seen)
    np.testing.assert_array_equal(inputs[..., 2], seen)
    unsaid = codec.inputs(jnp.asarray(KEYPOINTS), image_wh=jnp.asarray(WH))
    assert (np.asarray(unsaid[..., 2]) == 1).all()


@pytest.mark.parametrize("drop_root", [False, True])
def test_outputs_of_a_mirrored_person_are_mirrored_back(drop_root):
    scale = rng.uniform(0.1, 0.3, size=(16 if drop_root else 17, 3))
    codec = LiftingCodec(drop_root=drop_root, target_statistics=Statistics(scale, scale))
    targets, _ = codec.encode(SAMPLE)
    mirrored, _ = codec.encode(SAMPLE._replace(keypoints_3d=mirror(SAMPLE.keypoints_3d, FLIP)))
    np.testing.assert_allclose(codec.flip_back(mirrored, FLIP), targets, atol=1e-4)
    np.testing.assert_allclose(codec.average(targets, targets), targets)


def test_a_mirror_twice_is_none_and_swaps_sides():
    once = mirror(KEYPOINTS, FLIP)
    np.testing.assert_array_equal(mirror(once, FLIP), KEYPOINTS)
    np.testing.assert_array_equal(once[..., 1, 0], -KEYPOINTS[..., 4, 0])
    np.testing.assert_array_equal(once[..., 1, 1], KEYPOINTS[..., 4, 1])


def test_screen_depth_targets_are_what_the_picture_shows():
    """MMPose's MotionBERTLabel: root-relative screen, depth by the scale at the root."""
    codec = ScreenDepthCodec()
    cameras = np.broadcast_to(K, (2, 3, 3, 3))
    targets, _ = codec.encode(SAMPLE, K=jnp.asarray(cameras), image_wh=jnp.asarray(WH))
    pixels = JOINTS[..., :2] / JOINTS[..., 2:] * K[[0, 1], [0, 1]] + K[:2, 2]
    screen = pixels / 1000 * 2 - np.array([1, 1.002])
    np.testing.assert_allclose(targets[..., :2], screen - screen[..., :1, :], atol=ONE)
    ratio = K[0, 0] / JOINTS[..., :1, 2]
    depth = (JOINTS[..., 2] - JOINTS[..., :1, 2]) * ratio / 1000 * 2
    np.testing.assert_allclose(targets[..., 2], depth, atol=ONE)

    inputs = codec.inputs(jnp.asarray(pixels), image_wh=jnp.asarray(WH))
    relative = inputs[..., :2] - root_place(inputs[..., :2], (0,))
    np.testing.assert_allclose(relative, targets[..., :2], atol=ONE)


def test_screen_depth_decodes_exactly_what_lies_at_the_roots_distance():
    flat = JOINTS.copy()
    flat[..., 2] = flat[..., :1, 2]
    square = K.copy()
    square[1, 1] = square[0, 0]
    cameras = jnp.broadcast_to(jnp.asarray(square), (2, 3, 3, 3))
    codec, wh = ScreenDepthCodec(), jnp.asarray(WH)
    targets, _ = codec.encode(
        SAMPLE._replace(keypoints_3d=jnp.asarray(flat)), K=cameras, image_wh=wh
    )
    scale = codec.mm_per_unit(jnp.asarray(flat), K=cameras, image_wh=wh)
    np.testing.assert_allclose(codec.decode(targets, scale), flat - flat[..., :1, :], atol=0.02)


def test_statistics_survive_json_and_leave_out_what_is_unknown():
    values = rng.normal(size=(50, 4, 3))
    values[:, 0] = 0
    weights = np.ones((50, 4))
    weights[0, 1] = 0
    values[0, 1] = np.nan
    statistics = Statistics.of(values, weights)
    assert statistics.std[0] == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(statistics.mean[1], values[1:, 1].mean(axis=0))
    again = Statistics(**json.loads(json.dumps(statistics.to_dict())))
    assert again == statistics and hash(again) == hash(statistics)
    some = jnp.asarray(values[1:], jnp.float32)
    np.testing.assert_allclose(statistics.undo(statistics.apply(some)), some, atol=ONE)


def test_the_root_of_a_skeleton():
    assert root_of(H36M17) == root_of(HUMANEVA15) == (0,)
    assert root_of(COCO17) == (COCO17.index("left_hip"), COCO17.index("right_hip"))
    with pytest.raises(InputError, match="'face68' has no root"):
        root_of(FACE68)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LiftingCodec(frame="sreen"), "one of 'pixels', 'screen'"),
        (lambda: LiftingCodec(root=(17,)), r"\(17,\) is not among 17"),
        (lambda: LiftingCodec(root=(1, 4), drop_root=True), "2 joints cannot be dropped"),
        (lambda: LiftingCodec().inputs(jnp.asarray(KEYPOINTS)), "need image_wh"),
        (lambda: LiftingCodec(frame="box").inputs(jnp.asarray(KEYPOINTS)), "need boxes_xywh"),
        (lambda: Statistics([[0.0]], [[0.0]]), "above 0"),
        (lambda: Statistics.of(np.zeros((3, 2, 2)), np.zeros((3, 2))), "labelled in none"),
        (lambda: Statistics([[0.0]], [[1.0]]).apply(jnp.zeros((2, 3))), "do not fit"),
    ],
)
def test_faults_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
