"""Codecs with depth: the same targets and keypoints as MMPose, and what these codecs add."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import HandVolumes, Sample, SimCC, SimCC3D
from jaxpose.codecs.hand_volumes import HandOutputs
from jaxpose.skeletons import INTERHAND42

SIMCC = SimCC3D(SimCC((64, 48), sigma=(6.0, 6.93), normalize=False, beta=10.0), 48, 6.0)
HANDS = HandVolumes((64, 64), (16, 16, 16), root_bins=16)
METRE = 1000.0


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_parts3d.npz") as file:
        return {key: file[key] for key in file.files if key.startswith(("encode/", "decode/"))}


def case(golden, name):
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): golden[key].astype(np.float32)
        for key in golden
        if key.startswith(prefix)
    }


def simcc_sample(arrays):
    return Sample(
        arrays["visible"], arrays["keypoints"], depth=METRE * arrays["keypoints_3d"][..., 2]
    )


def test_simcc_labels_are_mmposes(golden):
    arrays = case(golden, "encode/simcc3d")
    targets, weights = SIMCC.encode(simcc_sample(arrays))
    for ours, theirs in zip(
        (*targets, weights), ("x", "y", "z", "weight_z", "weights"), strict=True
    ):
        np.testing.assert_allclose(ours, arrays[theirs], rtol=1e-5, atol=1e-6, err_msg=theirs)
    other, _ = replace(SIMCC, roots=(11,)).encode(simcc_sample(arrays))
    assert np.abs(other.z - arrays["z"]).max() > 0.1


def test_simcc_keypoints_and_depths_are_mmposes(golden):
    arrays = case(golden, "decode/simcc3d")
    decoded = SIMCC.decode(tuple(jnp.asarray(arrays[axis]) for axis in "xyz"))
    np.testing.assert_allclose(decoded.keypoints, arrays["keypoints"][..., :2], rtol=1e-6)
    np.testing.assert_allclose(
        decoded.depth, METRE * arrays["keypoints"][..., 2], rtol=1e-5, atol=1e-2
    )
    np.testing.assert_allclose(decoded.raw, arrays["scores"], rtol=1e-6)


def test_depths_that_are_not_known_have_no_weight(golden):
    arrays = case(golden, "encode/simcc3d")
    sample = simcc_sample(arrays)
    depth = sample.depth.copy()
    depth[0, 0], depth[0, 1] = np.nan, 1e6
    targets, weights = SIMCC.encode(sample._replace(depth=depth))
    assert weights[0, :2].tolist() == [1, 1] and targets.weights_z[0, :2].tolist() == [0, 0]
    assert np.isfinite(targets.z).all()
    without, same = SIMCC.encode(sample._replace(depth=None))
    assert not without.weights_z.any() and (same == weights).all()
    rootless = depth.copy()
    rootless[0, 12] = np.nan
    assert not SIMCC.encode(sample._replace(depth=rootless))[0].weights_z.any()


def test_depth_stays_where_the_image_is_mirrored(golden):
    arrays = case(golden, "decode/simcc3d")
    outputs = tuple(jnp.asarray(arrays[axis]) for axis in "xyz")
    permutation = np.arange(17)[::-1]
    mirrored = tuple(vector[:, permutation] for vector in outputs)
    back = SIMCC.flip_back((mirrored[0][..., ::-1], *mirrored[1:]), permutation)
    for a, b in zip(back, outputs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("sigma", "peak"), [(2.5, 255.0), (1.0, 1.0)])
def test_volumes_are_mmposes(golden, sigma, peak):
    name = "sigma_2.5" if sigma == 2.5 else "sigma_1"
    arrays = case(golden, f"encode/hand3d_heatmap/{name}")
    codec = replace(HANDS, sigma=sigma, peak=peak)
    heatmaps, weights = codec.draw(
        arrays["keypoints"][..., :2], arrays["keypoints"][..., 2], arrays["visible"]
    )
    ours = np.asarray(heatmaps)[0].transpose(2, 3, 0, 1).reshape(672, 16, 16)
    np.testing.assert_allclose(weights, arrays["keypoint_weights"])
    np.testing.assert_allclose(ours, arrays["heatmaps"], rtol=1e-5, atol=1e-5 * peak)


def test_hands_are_decoded_as_mmpose_does(golden):
    arrays = case(golden, "decode/hand3d_heatmap")
    heatmaps = jnp.asarray(arrays["heatmaps"].transpose(2, 3, 0, 1)[None])
    outputs = HandOutputs(heatmaps, arrays["root_depth"], arrays["hand_type"])
    decoded = HANDS.decode(outputs)
    np.testing.assert_allclose(decoded.keypoints, arrays["keypoints"][..., :2], rtol=1e-6)
    np.testing.assert_allclose(decoded.depth, arrays["keypoints"][..., 2], rtol=1e-6)
    # The volumes are stored as float16.
    np.testing.assert_allclose(decoded.raw, arrays["scores"], rtol=5e-4)
    np.testing.assert_allclose(decoded.hands.left_from_right, arrays["rel_root_depth"][0])
    assert (decoded.hands.present > 0.5).tolist() == (arrays["hand_type_pred"] > 0).tolist()


def two_hands():
    """Joints within the volume; the left wrist is 57 mm behind the right one."""
    rng = np.random.default_rng(0)
    points = rng.uniform(8, 56, (2, 42, 2)).astype(np.float32)
    depth = 728 + rng.uniform(-150, 150, (2, 42)).astype(np.float32)
    depth[:, 20], depth[:, 41] = 700, 757
    visible = np.full((2, 42), 2, np.uint8)
    visible[1, 21:] = 0  # a right hand alone
    return Sample(visible, points, depth=depth)


def test_hands_come_back():
    sample = two_hands()
    targets, weights = HANDS.encode(sample)
    assert weights[0].all() and weights[1].tolist() == [1.0] * 21 + [0.0] * 21
    assert targets.hands.tolist() == [[1, 1], [1, 0]]
    assert targets.weights_root[:, 0].tolist() == [1, 0]
    decoded = HANDS.decode(HandOutputs(targets.heatmaps, targets.root_depth, targets.hands))
    np.testing.assert_allclose(decoded.hands.left_from_right[0], 57, rtol=1e-5)
    seen = np.asarray(weights) > 0
    away = np.abs(np.asarray(decoded.keypoints) - sample.keypoints)[seen]
    assert away.max() <= 2.01, "half of a voxel of four pixels"
    wrists = np.where(np.arange(42) < 21, 700, 757)
    off = np.abs(np.asarray(decoded.depth) + wrists[None] - sample.depth)[seen]
    assert off.max() <= 12.6, "half of a voxel of 25 mm"


def test_mirrored_hands_change_places():
    sample = two_hands()
    (targets, _), permutation = HANDS.encode(sample), INTERHAND42.flip_permutation
    outputs = HandOutputs(*targets[:3])
    mirrored = sample._replace(
        keypoints=(np.array([60, 0]) + np.array([-1, 1]) * sample.keypoints)[:, permutation],
        visible=sample.visible[:, permutation],
        depth=sample.depth[:, permutation],
    )
    back = HANDS.flip_back(HandOutputs(*HANDS.encode(mirrored).values[:3]), permutation)
    np.testing.assert_allclose(back.hands, outputs.hands)
    np.testing.assert_allclose(back.root_depth[0], outputs.root_depth[0], rtol=1e-6)
    place = [
        np.asarray(o.heatmaps)[0].max(axis=-1).reshape(256, 42).argmax(0) for o in (back, outputs)
    ]
    np.testing.assert_array_equal(*place)


def test_hands_without_depth_teach_which_hands_are_there():
    targets, weights = HANDS.encode(two_hands()._replace(depth=None))
    assert not weights.any() and not targets.weights_root.any()
    assert targets.hands.tolist() == [[1, 1], [1, 0]]
    assert all(np.isfinite(part).all() for part in targets)
