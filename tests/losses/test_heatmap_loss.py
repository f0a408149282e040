"""Heatmap losses against MMPose 1.3.2 (golden/losses.npz), and what they promise themselves."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.losses import OHKM, AdaptiveWing, HeatmapJS, HeatmapMSE

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses.npz")
PARITY = 2e-6  # one float32 sum in another order
CASES = ("loss/keypoint_mse", "loss/keypoint_ohkm_mse", "loss/adaptive_wing")
LOSSES = dict(zip(CASES, (HeatmapMSE(), OHKM(), AdaptiveWing()), strict=True))


def heatmap_case(name="loss/keypoint_mse"):
    maps = [GOLDEN[f"{name}/{key}"].transpose(0, 2, 3, 1) for key in ("output", "target")]
    return [jnp.asarray(a) for a in (*maps, GOLDEN[f"{name}/weight"])]


@pytest.mark.parametrize("golden_case", CASES)
def test_matches_golden(golden_case):
    value = LOSSES[golden_case](*heatmap_case(golden_case))
    np.testing.assert_allclose(value, GOLDEN[f"{golden_case}/value"], rtol=PARITY)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_weight_zero_is_ignored(loss):
    outputs, targets, _ = heatmap_case()
    weights = jnp.ones((2, 17)).at[1].set(0.0)
    value, gradient = jax.value_and_grad(loss)(outputs, targets, weights)
    np.testing.assert_allclose(loss(outputs.at[1].multiply(3.0), targets, weights), value, 1e-6)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_perfect_outputs_have_no_loss(loss):
    maps, _, weights = heatmap_case()
    assert float(loss(maps, maps, weights)) == 0


def test_only_the_hardest_keypoints_count():
    errors = jnp.arange(1.0, 6.0)
    outputs = jnp.zeros((1, 2, 2, 5)) + jnp.sqrt(errors)[None, None, None]
    weights = jnp.asarray([[1.0, 1.0, 1.0, 1.0, 0.0]])
    value = OHKM(hardest=2)(outputs, jnp.zeros_like(outputs), weights)
    np.testing.assert_allclose(value, (4 + 3) / 2, rtol=1e-6)
    with pytest.raises(InputError, match="only 5 keypoints"):
        OHKM()(outputs, outputs, weights)


def test_adaptive_wing_is_smooth_where_its_parts_meet():
    target = jnp.full((1, 1, 1, 1), 0.7)
    weight = jnp.ones((1, 1))
    below, above = (jnp.full((1, 1, 1, 1), 0.7 - 0.5 + step) for step in (1e-4, -1e-4))
    values, slopes = zip(
        *(jax.value_and_grad(AdaptiveWing())(x, target, weight) for x in (below, above)),
        strict=True,
    )
    np.testing.assert_allclose(values[0], values[1], rtol=1e-3)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-3)


def test_js_divergence_is_symmetric_and_at_most_log_2():
    rng = np.random.default_rng(0)
    p, q = (jax.nn.softmax(jnp.asarray(rng.normal(0, 3, (1, 64, 3))), axis=1) for _ in range(2))
    p, q = (x.reshape(1, 8, 8, 3) for x in (p, q))
    weights = jnp.ones((1, 3))
    js = HeatmapJS()
    np.testing.assert_allclose(js(p, q, weights), js(q, p, weights), rtol=1e-6)
    np.testing.assert_allclose(js(p, p, weights), 0.0, atol=1e-6)
    one, other = (jnp.zeros((1, 8, 8, 3)).at[:, i, i].set(1.0) for i in (0, 5))
    np.testing.assert_allclose(js(one, other, weights), np.log(2), rtol=1e-6)
    middle = 0.5 * (p + q)
    want = 0.5 * sum((x * jnp.log(x / middle)).sum((1, 2)).mean() for x in (p, q))
    np.testing.assert_allclose(js(p, q, weights), want, rtol=1e-4)
