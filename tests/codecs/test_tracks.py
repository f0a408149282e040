"""Windows of 2D tracks: filled, and independent of the person's place and size."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs.tracks import TrackCodec, fill_lines, latest
from jaxpose.errors import InputError

B, T, K = 2, 7, 3
CODEC = TrackCodec(T)


def window(seed=0):
    rng = np.random.default_rng(seed)
    known = rng.random((B, T, K)) < 0.7
    known[:, 0, 0] = True
    return rng.normal(100, 30, (B, T, K, 2)).astype(np.float32), known


def test_missing_keypoints_are_on_lines_as_numpys():
    points, known = window()
    points = np.where(known[..., None], points, 1e6).astype(np.float32)
    found = np.asarray(fill_lines(jnp.asarray(points), jnp.asarray(known)))
    for b, k in np.ndindex(B, K):
        rows = np.flatnonzero(known[b, :, k])
        for axis in range(2):
            want = np.interp(np.arange(T), rows, points[b, rows, k, axis]) if len(rows) else 0.0
            np.testing.assert_allclose(found[b, :, k, axis], want, rtol=1e-5)


def test_the_latest_frame_is_at_or_before():
    there = jnp.asarray([[0, 1, 0, 1, 0]], bool)[..., None]
    assert np.asarray(latest(there))[0, :, 0].tolist() == [-1, 1, 1, 3, 3]


def test_inputs_do_not_depend_on_place_and_size():
    points, known = window()
    inputs, place = CODEC.framed(jnp.asarray(points), jnp.asarray(known))
    assert inputs.shape == (B, T, K, 3)
    np.testing.assert_array_equal(inputs[..., 2], known)
    moved, other = CODEC.framed(jnp.asarray(3 * points + 50), jnp.asarray(known))
    np.testing.assert_allclose(moved, inputs, atol=1e-4)
    np.testing.assert_allclose(other.size, 3 * place.size, rtol=1e-5)
    again = CODEC.decode(CODEC.encode(jnp.asarray(points), place), place)
    np.testing.assert_allclose(again, points, rtol=1e-4)


def test_a_keypoint_never_seen_and_an_empty_window_are_finite():
    points, known = window()
    known[0, :, 2], known[1] = False, False
    inputs, place = CODEC.framed(jnp.asarray(points), jnp.asarray(known))
    assert np.isfinite(inputs).all() and (np.asarray(place.size) > 0).all()
    # It stands in the person's middle, and has no part in the box.
    np.testing.assert_allclose(inputs[0, :, 2, :2], inputs[0, :, :2, :2].mean(axis=1), atol=1e-5)
    alone, _ = CODEC.framed(jnp.asarray(points[:, :, :2]), jnp.asarray(known[:, :, :2]))
    np.testing.assert_allclose(inputs[0, :, :2], alone[0], atol=1e-5)


def test_windows_that_hold_no_motion_are_refused():
    with pytest.raises(InputError, match="at least 3 frames"):
        TrackCodec(2)
    with pytest.raises(InputError, match="lowest and the highest"):
        TrackCodec(24, fps=(60.0, 20.0))
