"""Loss of surfaces: by hand, by finite differences, and without labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_combine import CASES

from jaxpose.codecs.densepose import PointTargets, SurfaceOutputs, SurfaceTargets
from jaxpose.losses import SurfaceLoss, SurfacePointLoss


def test_terms_by_hand():
    # Two pixels: background, and chart 3 at (0.5, 0.25); a third has no label.
    coarse = jnp.log(jnp.array([[[[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]]]]))
    fine = jnp.log(jnp.full((1, 1, 3, 25), 0.02).at[0, 0, 0, 0].set(0.52).at[0, 0, 1, 3].set(0.52))
    u, v = (jnp.full((1, 1, 3, 25), 9.0).at[..., 3].set(value) for value in (0.7, 2.25))
    targets = SurfaceTargets(
        jnp.array([[[0, 1, 1]]]),
        jnp.array([[[0, 3, 5]]]),
        jnp.array([[[[0.0, 0], [0.5, 0.25], [0.1, 0.1]]]]),
    )
    weights = jnp.array([[[1.0, 1.0, 0.0]]])
    loss = SurfaceLoss(coarse=5.0, fine=2.0, uv=10.0)
    value, terms = loss.with_terms(SurfaceOutputs(coarse, fine, u, v), targets, weights)
    np.testing.assert_allclose(terms["coarse"], -5 * (np.log(0.8) + np.log(0.6)) / 2, rtol=1e-5)
    np.testing.assert_allclose(terms["fine"], -2 * np.log(0.52), rtol=1e-5)
    # Of U the square, of V, which is 2 away, the absolute value.
    np.testing.assert_allclose(terms["uv"], 10 * (0.5 * 0.2**2 + 1.5), rtol=1e-5)
    np.testing.assert_allclose(value, sum(terms.values()))


def test_gradients_equal_finite_differences():
    loss, outputs, targets = CASES["SurfaceLoss"]
    weights = jnp.ones((2, 4, 3)).at[1, 2:].set(0.0)
    gradient = jax.jit(jax.grad(loss))(outputs, targets, weights)
    value = jax.jit(loss)
    rng = np.random.default_rng(0)
    for name in outputs._fields:
        direction = jnp.asarray(rng.normal(size=getattr(outputs, name).shape), jnp.float32)
        step = 1e-2
        ends = [
            value(
                outputs._replace(**{name: getattr(outputs, name) + s * direction}), targets, weights
            )
            for s in (step, -step)
        ]
        slope = float((gradient._asdict()[name] * direction).sum())
        assert abs(slope) > 0.01
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), slope, rtol=0.02)


def test_only_the_labelled_chart_of_labelled_pixels_gets_a_gradient():
    loss, outputs, targets = CASES["SurfaceLoss"]
    weights = jnp.ones((2, 4, 3)).at[1].set(0.0)
    gradient = jax.jit(jax.grad(loss))(outputs, targets, weights)
    own = jax.nn.one_hot(targets.part, 25) * weights[..., None] * (targets.part > 0)[..., None]
    for name in ("u", "v"):
        np.testing.assert_array_equal(getattr(gradient, name) != 0, own > 0)
    assert not gradient.fine[1].any() and not gradient.coarse[1].any()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_batch_without_people_has_a_finite_loss(weight):
    loss, outputs, targets = CASES["SurfaceLoss"]
    nobody = jax.tree.map(jnp.zeros_like, targets)
    value, terms = loss.with_terms(outputs, nobody, jnp.full((2, 4, 3), weight))
    assert np.isfinite(value) and terms["uv"] == 0


def test_points_between_pixels_by_hand():
    """Logits are interpolated, and so are U and V of the labelled chart; other points are none."""
    fine = jnp.zeros((1, 1, 2, 25)).at[0, 0, 0, 3].set(4.0)
    u = jnp.full((1, 1, 2, 25), 9.0).at[0, 0, :, 3].set(jnp.array([0.2, 0.6]))
    v = jnp.full((1, 1, 2, 25), 9.0).at[0, 0, :, 3].set(2.5)
    coarse = jnp.log(jnp.array([[[[0.8, 0.2], [0.4, 0.6]]]]))
    targets = PointTargets(
        jnp.array([[[0, 1]]]),
        jnp.array([[[0.25, 0.0], [0.0, 0.0]]]),
        jnp.array([[3, 0]]),
        jnp.array([[[0.5, 0.5], [0.0, 0.0]]]),
    )
    loss = SurfacePointLoss(coarse=5.0, fine=2.0, uv=10.0)

    def of_u(u):
        return loss.with_terms(SurfaceOutputs(coarse, fine, u, v), targets, jnp.ones((1, 1, 2)))

    (value, terms), gradient = jax.jit(jax.value_and_grad(of_u, has_aux=True))(u)
    np.testing.assert_allclose(terms["coarse"], -5 * (np.log(0.8) + np.log(0.6)) / 2, rtol=1e-5)
    np.testing.assert_allclose(terms["fine"], -2 * np.log(np.exp(3) / (np.exp(3) + 24)), rtol=1e-5)
    np.testing.assert_allclose(terms["uv"], 10 * (0.5 * 0.2**2 + 1.5), rtol=1e-5)
    np.testing.assert_allclose(value, sum(terms.values()), rtol=1e-6)
    # Only the labelled chart of the pixels beside the point has a gradient of U.
    assert np.argwhere(gradient).tolist() == [[0, 0, 0, 3], [0, 0, 1, 3]]


def test_people_without_points_have_a_finite_loss():
    loss, outputs, targets = CASES["SurfacePointLoss"]
    nobody = targets._replace(part=jnp.zeros_like(targets.part))
    value, terms = jax.jit(loss.with_terms)(outputs, nobody, jnp.zeros((2, 4, 3)))
    assert value == 0 and terms["fine"] == 0
