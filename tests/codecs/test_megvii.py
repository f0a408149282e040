"""Megvii's heatmaps against MMPose 1.3.2 (golden/codecs.npz), and what they promise themselves."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.codecs.megvii import Megvii, MegviiCoarseToFine
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "codecs.npz")
PERMUTATION = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])

# float32 products of two Gaussians, against OpenCV's float32 sums.
PARITY = 2e-5


def encode(keypoints, visible):
    return jax.jit(Megvii().encode)(Sample(jnp.asarray(visible), jnp.asarray(keypoints)))


def decode(maps):
    return jax.jit(Megvii().decode)(jnp.asarray(maps))


@pytest.mark.parametrize("golden_case", ["encode/megvii_heatmap/0", "encode/megvii_heatmap/1"])
def test_encode_matches_golden(golden_case):
    targets, weights = encode(GOLDEN[f"{golden_case}/keypoints"], GOLDEN[f"{golden_case}/visible"])
    theirs = GOLDEN[f"{golden_case}/heatmaps"].transpose(1, 2, 0)[None]
    assert targets.dtype == weights.dtype == jnp.float32
    assert np.abs(np.asarray(targets) - theirs).max() / theirs.std() <= PARITY
    np.testing.assert_array_equal(weights, GOLDEN[f"{golden_case}/keypoint_weights"])


@pytest.mark.parametrize("golden_case", ["decode/megvii_heatmap"])
def test_decode_matches_golden(golden_case):
    maps = GOLDEN[f"{golden_case}/heatmaps"].transpose(1, 2, 0)[None]
    decoded = decode(maps)
    keypoints, scores = (GOLDEN[f"{golden_case}/{name}"] for name in ("keypoints", "scores"))
    # The reference is NaN for the map without a positive value; ours is finite.
    known = np.isfinite(scores)
    assert known.sum() >= 16 and np.isfinite(decoded.keypoints).all()
    # Steps are quarters of a pixel of the map, so other than exactly they could only differ by one.
    np.testing.assert_array_equal(np.asarray(decoded.keypoints)[known], keypoints[known])
    # MMPose's score is a half more than the share of 255.
    share = np.asarray(decoded.raw) / 255
    np.testing.assert_allclose(share[known] + 0.5, scores[known], rtol=1e-6)
    np.testing.assert_allclose(decoded.scores, np.clip(share, 0, 1), rtol=1e-6)


def random_keypoints(seed, margin):
    rng = np.random.default_rng(seed)
    return rng.uniform(margin, np.float32([191, 255]) - margin, (16, 17, 2)).astype(np.float32)


def test_targets_are_255_at_their_pixel_even_at_the_border():
    keypoints = np.float32([[[0, 0], [191, 255], [5, 250]]])
    targets, weights = encode(keypoints, np.ones((1, 3)))
    np.testing.assert_array_equal(weights, 1)
    values = np.asarray(targets)[0, [0, 63, 62], [0, 47, 1], [0, 1, 2]]
    np.testing.assert_allclose(values, 255, rtol=1e-6)


def test_round_trip_within_the_pixel_of_the_map():
    keypoints = random_keypoints(0, margin=12)
    targets, weights = encode(keypoints, np.ones(keypoints.shape[:2]))
    decoded = decode(targets)
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_allclose(decoded.scores, 1, atol=1e-6)
    # Half a pixel of the map for its width and a quarter for the step: three input pixels.
    assert np.abs(np.asarray(decoded.keypoints) - keypoints).max() <= 3.001


def test_flip_back_undoes_the_mirror():
    # Coordinates at whole pixels: a mirrored pixel is then in the mirrored cell of the map.
    keypoints = np.round(random_keypoints(1, margin=12))
    visible = np.ones(keypoints.shape[:2])
    straight, _ = encode(keypoints, visible)
    mirrored, _ = encode(geometry.flip_keypoints(keypoints, 192, PERMUTATION), visible)
    back = jax.jit(Megvii().flip_back)(mirrored, PERMUTATION)
    np.testing.assert_allclose(back, straight, atol=1e-3)


def test_unlabelled_and_outside_keypoints_have_no_weight():
    keypoints = np.float32([[[50, 50], [np.nan, 3], [-200, 50], [50, 257], [-3, 50]]])
    targets, weights = encode(keypoints, np.uint8([[1, 0, 2, 2, 2]]))
    # -3 / 4 is cut to 0, as the published codec casts to an integer.
    np.testing.assert_array_equal(weights, [[1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(np.asarray(targets)[..., 1:4], 0)


@pytest.mark.parametrize("value", [-1.0, 0.0, 300.0])
def test_flat_maps_stay_finite(value):
    decoded = decode(np.full((1, 64, 48, 2), value, jnp.bfloat16))
    assert all(np.isfinite(part).all() and part.dtype == jnp.float32 for part in decoded[:3])


def test_bad_kernels_are_refused():
    with pytest.raises(InputError, match="odd and positive"):
        Megvii(kernel_size=10)
    with pytest.raises(InputError, match="reaches across"):
        Megvii(heatmap_hw=(8, 5))


def test_each_output_has_the_targets_of_its_kernel():
    keypoints = random_keypoints(3, margin=0)[:2]
    sample = Sample(jnp.ones(keypoints.shape[:2]), jnp.asarray(keypoints))
    codec = MegviiCoarseToFine(kernel_sizes=(15, 7, 15, 5))
    targets, weights = jax.jit(codec.encode)(sample)
    for made, size in zip(targets, codec.kernel_sizes, strict=True):
        alone, own = jax.jit(Megvii(kernel_size=size).encode)(sample)
        np.testing.assert_array_equal(made, alone)
        np.testing.assert_array_equal(weights, own)
    assert targets[0].sum() > 2 * targets[3].sum()
    found = jax.jit(codec.decode)(targets[3])
    assert np.abs(np.asarray(found.keypoints) - keypoints)[np.asarray(weights) > 0].max() < 3


def test_another_last_kernel_than_that_of_decoding_is_refused():
    with pytest.raises(InputError, match="must be kernel_size"):
        MegviiCoarseToFine(kernel_sizes=(15, 7))
