"""Nearest points on triangles against a fine search, in the plane and in 3D."""

import numpy as np
import pytest

from jaxpose.geometry import triangles as module
from jaxpose.geometry.triangles import nearest_on_triangles


@pytest.mark.parametrize("dimensions", [2, 3])
def test_no_point_of_a_fine_grid_is_nearer(dimensions, monkeypatch):
    monkeypatch.setattr(module, "_MOST_PAIRS", 20)  # in several parts
    rng = np.random.default_rng(0)
    corners, points = rng.normal(size=(4, 3, dimensions)), 2 * rng.normal(size=(30, dimensions))
    face, shares, distance = nearest_on_triangles(points, corners)
    assert (shares >= -1e-12).all() and len(set(face.tolist())) > 1
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    found = (shares[..., None] * corners[face]).sum(axis=1)
    np.testing.assert_allclose(np.linalg.norm(points - found, axis=1), distance)
    s, t = (x.ravel() for x in np.meshgrid(*[np.linspace(0, 1, 101)] * 2))
    kept = s + t <= 1 + 1e-9
    weights = np.stack([1 - s - t, s, t], axis=1)[kept]
    grid = np.einsum("gk,fkd->gfd", weights, corners).reshape(-1, dimensions)
    best = np.linalg.norm(points[:, None] - grid[None], axis=-1).min(axis=1)
    assert (distance <= best + 1e-9).all()
    np.testing.assert_allclose(distance, best, atol=0.05)


def test_flat_triangles_and_no_points():
    line, point = [[0.0, 0], [2, 0], [1, 0]], [[5.0, 5]] * 3
    face, shares, distance = nearest_on_triangles([[1.5, 1.0], [5, 6], [-1, 0]], [line, point])
    np.testing.assert_array_equal(face, [0, 1, 0])
    np.testing.assert_allclose(distance, [1, 1, 1])
    np.testing.assert_allclose(shares[2], [1, 0, 0])
    assert [len(value) for value in nearest_on_triangles(np.zeros((0, 2)), [line])] == [0, 0, 0]
