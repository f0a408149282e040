"""Triangulation: exact without noise, weights, missing views, refusals, real multi-camera data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from walker import motion, ring, seen

from jaxpose.errors import InputError
from jaxpose.multiview.triangulate import reprojection_errors, triangulate


@pytest.mark.parametrize("views", [2, 4])
def test_exact_in_float64(views):
    cameras, points = ring(views), motion(4)
    found = triangulate(cameras, seen(cameras, points))
    assert np.abs(found - points).max() / 5000 <= 1e-9
    assert np.abs(reprojection_errors(cameras, seen(cameras, points), points)).max() == 0


def test_float32_is_good_to_a_tenth_of_a_millimetre():
    cameras, points = ring(4), motion(2)
    pixels = jnp.asarray(seen(cameras, points), jnp.float32)
    on_device = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), cameras)
    found = jax.jit(triangulate)(on_device, pixels)
    # A pixel of 1,000 rounds to 3e-5, which is 1e-4 mm at 5 m; the rest is the decomposition.
    assert np.abs(np.asarray(found) - points).max() / 5000 <= 2e-5


def test_weights_choose_the_views():
    cameras, points = ring(4), motion(3)
    pixels = seen(cameras, points)
    pixels[0] += 300
    pixels[1, 0, 0] = np.nan
    weights = np.ones(pixels.shape[:-1])
    weights[0] = 0
    np.testing.assert_allclose(triangulate(cameras, pixels, weights), points, atol=1e-5)
    weights[1:3, 1, 5] = 0
    found = triangulate(cameras, pixels, weights)
    assert np.isnan(found[1, 5]).all()
    assert np.isfinite(np.delete(found.reshape(-1, 3), 1 * 17 + 5, axis=0)).all()


def test_confidence_helps():
    cameras, points = ring(4), motion(20)
    pixels = seen(cameras, points, noise=2.0)
    pixels[0] += 20 * np.random.default_rng(1).normal(size=pixels[0].shape)
    weights = np.ones(pixels.shape[:-1])
    plain = np.linalg.norm(triangulate(cameras, pixels) - points, axis=-1).mean()
    weights[0] = 0.1
    weighted = np.linalg.norm(triangulate(cameras, pixels, weights) - points, axis=-1).mean()
    assert weighted < 0.5 * plain


def test_behind_a_camera_is_infinitely_wrong():
    cameras = ring(2)
    beyond = np.asarray(cameras.position)[:1] * 2
    errors = reprojection_errors(cameras, np.zeros((2, 1, 2)), beyond)
    assert np.isinf(errors[0, 0])


def test_refusals():
    cameras, points = ring(3), motion(2)
    pixels = seen(cameras, points)
    with pytest.raises(InputError, match="one camera only"):
        triangulate(cameras.take([0]), pixels[:1])
    with pytest.raises(InputError, match="one camera only"):
        triangulate(cameras.take(0), pixels[0])
    with pytest.raises(InputError, match="for 3 cameras"):
        triangulate(cameras, pixels[:2])
    with pytest.raises(InputError, match="weights of shape"):
        triangulate(cameras, pixels, np.ones(3))
    with pytest.raises(InputError, match="camera 0: t has values that are not finite"):
        triangulate(cameras._replace(t=cameras.t * np.nan), pixels)
    with pytest.raises(InputError, match="mirrors the world"):
        triangulate(cameras._replace(R=cameras.R * [[[1], [-1], [1]]]), pixels)
