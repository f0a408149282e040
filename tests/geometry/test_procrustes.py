"""Similarity alignment: exact recovery, weights, mirrored and degenerate sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxpose.geometry.procrustes import move, procrustes


def sets(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(4, 9, 3)) * 300
    turned = np.einsum("bij,bnj->bni", Rotation.random(4, random_state=seed).as_matrix(), source)
    return source, 1.7 * turned + rng.normal(size=(4, 1, 3)) * 1000


@pytest.mark.parametrize("namespace", [np, jnp], ids=["numpy", "jax"])
def test_a_similarity_is_recovered(namespace):
    source, target = (namespace.asarray(points) for points in sets())
    found = procrustes(source, target)
    np.testing.assert_allclose(found.scale, 1.7, rtol=1e-5)
    # float32 rounds at 1 m to 0.0001 mm an operation.
    tolerance = 1e-9 if namespace is np else 5e-3
    np.testing.assert_allclose(move(found, source), target, atol=tolerance)


def test_points_without_weight_have_no_say():
    source, target = sets()
    weights = np.ones((4, 9))
    weights[:, :3] = 0
    broken = source.copy()
    broken[:, 0], broken[:, 1] = np.nan, 1e6
    found = procrustes(broken, target, weights)
    np.testing.assert_allclose(move(found, source), target, atol=1e-9)


def test_a_mirrored_set_is_not_mirrored_back():
    source, target = sets()
    found = procrustes(source * [[[-1, 1, 1]]], target)
    np.testing.assert_allclose(np.linalg.det(found.R), 1)
    assert np.linalg.norm(move(found, source * [[[-1, 1, 1]]]) - target, axis=-1).mean() > 50


def test_without_scale_it_is_rigid():
    source, target = sets()
    found = procrustes(source, target, scale=False)
    np.testing.assert_array_equal(found.scale, 1)
    np.testing.assert_allclose(found.R, procrustes(source, target).R, atol=1e-12)


def test_degenerate_sets_stay_finite():
    source, target = sets()
    line = np.arange(9.0)[None, :, None] * np.array([[[1.0, 2, 3]]])
    along = np.arange(9.0)[None, :, None] * np.array([[[3.0, -1, 2]]])
    np.testing.assert_allclose(move(procrustes(line, along), line), along, atol=1e-9)
    point = np.ones((1, 9, 3))
    found = procrustes(point, target[:1])
    assert found.scale[0] == 1
    np.testing.assert_allclose(move(found, point)[:, 0], target[:1].mean(axis=1))
    nothing = procrustes(source, target, np.zeros((4, 9)))
    np.testing.assert_allclose(nothing.R, np.broadcast_to(np.eye(3), (4, 3, 3)))
    np.testing.assert_array_equal(nothing.t, 0)


def test_it_is_differentiable():
    source, target = (jnp.asarray(points, jnp.float32) for points in sets())
    target = target + jnp.sin(source)

    def error(source):
        return jnp.sum((move(procrustes(source, target), source) - target) ** 2)

    slope = jax.jit(jax.grad(error))(source)
    # Neither a shift nor a scaling of the source changes the error.
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope.sum(axis=1), 0, atol=1e-3)
