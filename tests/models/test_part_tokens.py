"""Tokens of keypoints: places and features under the peaks of heatmaps."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.mesh_head import MeshHead
from jaxpose.models.part_tokens import part_tokens


def peaks(places, grid=(16, 12)):
    """Heatmaps `[1, h, w, K]` with Gaussian peaks at rows and columns."""
    rows, columns = np.mgrid[: grid[0], : grid[1]]
    maps = [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 2) for r, c in places]
    return jnp.asarray(np.stack(maps, axis=-1)[None], jnp.float32)


def test_tokens_have_the_places_and_features_of_peaks():
    places = [(4, 3), (10, 8)]
    features = np.random.default_rng(0).normal(size=(1, 16, 12, 5)).astype(np.float32)
    features[0, 3:6, 2:5], features[0, 9:12, 7:10] = 1.0, -2.0
    found = part_tokens(jnp.asarray(features), peaks(places))
    expected = [[2 * c / 11 - 1, 2 * r / 15 - 1] for r, c in places]
    np.testing.assert_allclose(found.places[0], expected, atol=0.01)
    np.testing.assert_allclose(found.features[0, 0], np.ones(5), atol=0.02)
    np.testing.assert_allclose(found.features[0, 1], np.full(5, -2.0), atol=0.05)
    assert float(found.peaks.min()) > 0.9
    # Without a peak the place is the middle, and the mean of the heatmap says so.
    none = part_tokens(jnp.asarray(features), jnp.zeros((1, 16, 12, 2)))
    np.testing.assert_allclose(none.places, np.zeros((1, 2, 2)), atol=1e-5)
    assert float(jnp.abs(none.peaks).max()) == 0


def test_a_head_of_parts_sees_only_what_is_under_the_peaks():
    head = MeshHead(
        joints=2, shapes=3, depth=1, width=8, heads=2, head_dim=4, mlp_hidden=8,
        positions=True, parts=2,
    )  # fmt: skip
    features = jnp.concatenate([peaks([(4, 3), (10, 8)]), jnp.ones((1, 16, 12, 1))], axis=-1)
    variables = jax.jit(head.init)(jax.random.key(0), features)
    parts = {"kernel": jnp.eye(3, 2)[None, None], "bias": jnp.zeros(2)}
    variables = {"params": {**variables["params"], "parts": parts}}
    # Larger last layers: at the start of training they hide the features.
    for name in ("pose", "shape", "camera"):
        dense = variables["params"][name]
        variables["params"][name] = {**dense, "kernel": 1000 * dense["kernel"]}
    run = jax.jit(head.apply)
    first = run(variables, features)
    far = run(variables, features.at[0, 15, 0, 2].set(9.0))
    near = run(variables, features.at[0, 10, 8, 2].set(9.0))
    np.testing.assert_allclose(far.shape, first.shape, atol=1e-4)
    assert float(jnp.abs(near.shape - first.shape).max()) > 1e-2
