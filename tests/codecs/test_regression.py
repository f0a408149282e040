"""Regressed coordinates, alone and beside heatmaps, against MMPose 1.3.2 (golden/codecs.npz)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.codecs.integral import IntegralRegression
from jaxpose.codecs.regression import Regression
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "codecs.npz")
PERMUTATION = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


def golden(name, *keys):
    return [GOLDEN[f"{name}/{key}"] for key in ("keypoints", "visible", *keys)]


@pytest.mark.parametrize("golden_case", ["encode/regression/0", "encode/regression/1"])
def test_regression_targets_match_golden(golden_case):
    keypoints, visible, labels, weights = golden(golden_case, "keypoint_labels", "keypoint_weights")
    ours, our_weights = Regression().encode(Sample(jnp.asarray(visible), jnp.asarray(keypoints)))
    np.testing.assert_allclose(ours, labels, rtol=2e-7)
    np.testing.assert_array_equal(our_weights, weights)


@pytest.mark.parametrize(
    "golden_case", ["encode/integral_regression/0", "encode/integral_regression/1"]
)
def test_integral_targets_match_golden(golden_case):
    keypoints, visible, labels, weights, maps = golden(
        golden_case, "keypoint_labels", "keypoint_weights", "heatmaps"
    )
    encode = jax.jit(IntegralRegression().encode)
    (coordinates, ours), our_weights = encode(Sample(jnp.asarray(visible), jnp.asarray(keypoints)))
    np.testing.assert_allclose(coordinates, labels, rtol=2e-7)
    np.testing.assert_array_equal(our_weights, weights)
    theirs = maps.transpose(1, 2, 0)[None]
    # float32 exponentials and sums of a map in another order.
    assert np.abs(np.asarray(ours) - theirs).max() / theirs.std() <= 2e-5


def random_keypoints(seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, np.float32([191, 255]), (8, 17, 2)).astype(np.float32)


@pytest.mark.parametrize("codec", [Regression(), IntegralRegression()])
def test_round_trip_and_flip(codec):
    keypoints = random_keypoints()
    visible = jnp.ones(keypoints.shape[:2])
    targets, weights = codec.encode(Sample(visible, jnp.asarray(keypoints)))
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_allclose(codec.decode(targets).keypoints, keypoints, atol=1e-4)
    mirrored = geometry.flip_keypoints(keypoints, 192, PERMUTATION)
    flipped, _ = codec.encode(Sample(visible, jnp.asarray(mirrored)))
    together = codec.average(targets, codec.flip_back(flipped, PERMUTATION))
    np.testing.assert_allclose(codec.decode(together).keypoints, keypoints, atol=1e-4)


def test_without_the_shift_mirrored_coordinates_lie_a_pixel_to_the_right():
    keypoints = jnp.asarray(random_keypoints())
    codec = Regression(shift_coords=False)
    mirrored = geometry.flip_keypoints(keypoints, 192, PERMUTATION)
    flipped, _ = codec.encode(Sample(jnp.ones(keypoints.shape[:2]), mirrored))
    back = codec.decode(codec.flip_back(flipped, PERMUTATION)).keypoints
    np.testing.assert_allclose(back - keypoints, np.tile([1.0, 0.0], (8, 17, 1)), atol=1e-4)


def test_sigmas_become_scores_and_stay_through_the_flip():
    rng = np.random.default_rng(1)
    outputs = jnp.asarray(rng.uniform(0, 1, (3, 17, 4)), jnp.float32)
    decoded = Regression().decode(outputs)
    np.testing.assert_allclose(decoded.keypoints[0, 0], outputs[0, 0, :2] * jnp.array([192, 256]))
    np.testing.assert_allclose(decoded.scores, 1 - np.asarray(outputs)[..., 2:].mean(-1), rtol=1e-6)
    back = Regression().flip_back(outputs, PERMUTATION)
    np.testing.assert_array_equal(back[..., 1:], outputs[:, PERMUTATION, 1:])
    assert float(Regression().decode(outputs - 2).scores.max()) == 1.0


def test_outside_and_unlabelled_keypoints_have_no_weight():
    keypoints = jnp.asarray([[[np.nan, 1.0], [191.0, 255.0], [191.5, 5.0], [-0.1, 5.0]]])
    visible = jnp.asarray([[0, 1, 2, 2]])
    for codec in (Regression(), IntegralRegression()):
        targets, weights = codec.encode(Sample(visible, keypoints))
        np.testing.assert_array_equal(weights, [[0, 1, 0, 0]])
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(targets))


def test_targets_are_distributions_unless_told_otherwise():
    keypoints, visible = jnp.asarray(random_keypoints()), jnp.ones((8, 17))
    (_, maps), _ = IntegralRegression().encode(Sample(visible, keypoints))
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
    (_, maps), _ = IntegralRegression(normalize=False).encode(Sample(visible, keypoints))
    assert float(maps.max()) == 1.0


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match="no coordinates"):
        Regression().decode(jnp.zeros((2, 17, 3)))
    with pytest.raises(InputError, match="sigma"):
        IntegralRegression(sigma=0.0)
