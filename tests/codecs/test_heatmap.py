"""Heatmap codecs against MMPose 1.3.2 (golden/codecs.npz), and what they promise by themselves."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.codecs.heatmap import Heatmap, dark, msra, udp
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "codecs.npz")
CODECS = {"msra_heatmap": msra(), "msra_heatmap_unbiased_dark": dark(), "udp_heatmap": udp()}
PERMUTATION = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])

# Heatmaps differ by float32 positions (the reference took float64); refined keypoints by a Newton
# step on float32 logarithms.
PARITY_ENCODE = 5e-5
PARITY_DECODE = 1e-4


def relative_error(ours, theirs) -> float:
    return float(np.max(np.abs(np.asarray(ours) - theirs)) / np.std(theirs))


def encode(codec, keypoints, visible):
    return jax.jit(codec.encode)(Sample(jnp.asarray(visible), jnp.asarray(keypoints)))


def decode(codec, outputs):
    return jax.jit(codec.decode)(jnp.asarray(outputs))


@pytest.mark.parametrize("golden_case", [f"encode/{name}/{i}" for name in CODECS for i in (0, 1)])
def test_encode_matches_golden(golden_case):
    golden = {
        key: GOLDEN[f"{golden_case}/{key}"]
        for key in ("keypoints", "visible", "heatmaps", "keypoint_weights")
    }
    codec = CODECS[golden_case.split("/")[1]]
    targets, weights = encode(codec, golden["keypoints"], golden["visible"])
    assert targets.dtype == weights.dtype == jnp.float32
    theirs = golden["heatmaps"].transpose(1, 2, 0)[None]
    assert relative_error(targets, theirs) <= PARITY_ENCODE
    np.testing.assert_array_equal(weights, golden["keypoint_weights"])


@pytest.mark.parametrize("golden_case", [f"decode/{name}" for name in CODECS])
def test_decode_matches_golden(golden_case):
    codec = CODECS[golden_case.split("/")[1]]
    theirs = GOLDEN[f"{golden_case}/keypoints"]
    if codec.udp:
        # MMPose's UDP decoder answers in units where the far edge is W, not pixel W - 1; the
        # point in the photo is the same after each one's own way back.
        height, width = codec.input_hw
        theirs = theirs * np.float32([(width - 1) / width, (height - 1) / height])
    decoded = decode(codec, GOLDEN[f"{golden_case}/heatmaps"].transpose(1, 2, 0)[None])
    # The UDP reference is NaN for the map without a positive value; ours is finite.
    known = np.isfinite(theirs).all(-1)
    assert np.isfinite(decoded.keypoints).all()
    assert known.sum() >= 16
    assert relative_error(np.asarray(decoded.keypoints)[known], theirs[known]) <= PARITY_DECODE
    np.testing.assert_allclose(decoded.raw, GOLDEN[f"{golden_case}/scores"], atol=1e-7)
    np.testing.assert_array_equal(decoded.scores, np.clip(decoded.raw, 0, 1))


def random_keypoints(seed, margin, count=64):
    rng = np.random.default_rng(seed)
    span = np.float32([191, 255])
    return rng.uniform(margin, span - margin, (count, 17, 2)).astype(np.float32)


# Input pixels. MSRA rounds to whole heatmap pixels, so up to half a stride on each axis.
ROUND_TRIP = {"msra_heatmap": 2.83, "msra_heatmap_unbiased_dark": 0.01, "udp_heatmap": 0.01}


@pytest.mark.parametrize("name", CODECS)
def test_round_trip(name):
    keypoints = random_keypoints(0, margin=28)
    targets, weights = encode(CODECS[name], keypoints, np.ones(keypoints.shape[:2]))
    decoded = decode(CODECS[name], targets)
    np.testing.assert_array_equal(weights, 1)
    error = np.linalg.norm(np.asarray(decoded.keypoints) - keypoints, axis=-1)
    assert error.max() <= ROUND_TRIP[name]


def test_udp_round_trip_at_the_border():
    keypoints = random_keypoints(1, margin=0)
    targets, _ = encode(udp(), keypoints, np.ones(keypoints.shape[:2]))
    error = np.linalg.norm(np.asarray(decode(udp(), targets).keypoints) - keypoints, axis=-1)
    # A cut-off Gaussian is blurred asymmetrically: a few input pixels at the very edge.
    assert np.median(error) < 0.1
    assert error.max() < 6


@pytest.mark.parametrize("name", CODECS)
def test_flip_back_undoes_the_mirror(name):
    codec = CODECS[name]
    keypoints = random_keypoints(2, margin=28)
    visible = np.ones(keypoints.shape[:2])
    straight, _ = encode(codec, keypoints, visible)
    mirrored, _ = encode(codec, geometry.flip_keypoints(keypoints, 192, PERMUTATION), visible)
    back = jax.jit(codec.flip_back)(mirrored, PERMUTATION)
    together = decode(codec, codec.average(straight, back)).keypoints
    difference = np.asarray(together) - keypoints
    if codec.udp:
        np.testing.assert_allclose(back, straight, atol=2e-5)
        assert np.abs(difference).max() < 0.1
    else:
        # The shift of one heatmap pixel overshoots the missing 3/4 by one input pixel, of which
        # the average carries up to half.
        bias_x, bias_y = difference.mean((0, 1))
        assert 0 < bias_x < 0.6
        assert abs(bias_y) < 0.1


def test_unlabelled_and_outside_keypoints_have_no_weight():
    keypoints = np.float32([[[50, 50], [np.nan, 3], [-200, 50], [50, 400], [-3, 50]]])
    visible = np.uint8([[1, 0, 2, 2, 2]])
    for codec in CODECS.values():
        targets, weights = encode(codec, keypoints, visible)
        np.testing.assert_array_equal(weights, [[1, 0, 0, 0, 1]])
        np.testing.assert_array_equal(np.asarray(targets)[..., 1:4], 0)


def test_ties_go_to_the_first_pixel():
    maps = np.zeros((1, 64, 48, 1), np.float32)
    maps[0, 10, 20] = maps[0, 30, 5] = 1
    codec = Heatmap(udp=False, refine="none")
    np.testing.assert_array_equal(decode(codec, maps).keypoints[0, 0], [80, 40])


@pytest.mark.parametrize("name", CODECS)
def test_flat_maps_stay_finite(name):
    for value in (-1.0, 0.0, 1.0):
        decoded = decode(CODECS[name], np.full((1, 64, 48, 2), value, np.float32))
        assert all(np.isfinite(part).all() for part in decoded[:3])


def test_the_dark_step_may_be_bounded():
    """On noise it leads anywhere; a peak of its own shape needs no bound."""
    rng, free = np.random.default_rng(0), udp()
    peak = -((np.arange(64)[:, None] - 20.3) ** 2) - (np.arange(48)[None] - 30.4) ** 2
    maps = rng.uniform(size=(2, 64, 48, 9)).astype(np.float32)
    maps[0, ..., 0] = np.exp(peak / 8)
    loose, tight = (
        np.asarray(decode(codec, maps).keypoints)
        for codec in (free, replace(free, longest_step=2.0))
    )
    rows, columns = np.unravel_index(maps.reshape(2, -1, 9).argmax(1), (64, 48))
    highest = np.stack([columns * 191 / 47, rows * 255 / 63], axis=-1)
    far, near = (np.linalg.norm(found - highest, axis=-1) / 4.05 for found in (loose, tight))
    assert far.max() > 3 and near.max() < 2.02
    kept = far < 1.95
    assert kept[0, 0] and kept.sum() > 3
    np.testing.assert_array_equal(tight[kept], loose[kept])


def test_bfloat16_outputs_are_read_as_float32():
    decoded = decode(udp(), np.zeros((1, 64, 48, 2), jnp.bfloat16))
    assert all(part.dtype == jnp.float32 for part in decoded[:3])


@pytest.mark.parametrize(
    "arguments",
    [
        {"refine": "drak"},
        {"blur_kernel": 10},
        {"sigma": 0.0},
        {"heatmap_hw": (1, 1)},
        {"longest_step": 0.0},
    ],
)
def test_bad_settings_are_refused(arguments):
    with pytest.raises(InputError):
        Heatmap(**arguments)
