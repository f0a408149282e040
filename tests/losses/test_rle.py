"""Residual log-likelihood estimation against PyTorch, against closed forms, and as a density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses import RLE, realnvp_log_prob

LAYERS, WIDTH = 6, 16


@pytest.fixture(scope="module")
def flow():
    rng = np.random.default_rng(0)
    sizes = (2, WIDTH, WIDTH, 2)
    arrays = {}
    for network in ("scale", "translate"):
        for i in range(3):
            shape = (LAYERS, sizes[i], sizes[i + 1])
            arrays[f"{network}_kernel_{i}"] = rng.normal(0, 0.4, shape)
            arrays[f"{network}_bias_{i}"] = rng.normal(0, 0.1, (LAYERS, sizes[i + 1]))
    return {key: jnp.asarray(array, jnp.float32) for key, array in arrays.items()}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(1)
    coordinates, targets = rng.uniform(0, 1, (2, 3, 5, 2))
    sigma = rng.uniform(0.1, 0.9, (3, 5, 2))
    weights = (rng.uniform(size=(3, 5)) > 0.3) * 1.0
    return [jnp.asarray(a, jnp.float32) for a in (coordinates, sigma, targets, weights)]


def torch_loss(torch, arrays, residual, gaussian):
    """The same in PyTorch, from the papers' equations: one coordinate conditions the other."""
    coordinates, sigma, targets, weights, flow = arrays

    def network(name, i, x):
        for n in range(3):
            x = x @ flow[f"{name}_kernel_{n}"][i] + flow[f"{name}_bias_{n}"][i]
            x = torch.nn.functional.leaky_relu(x, 0.01) if n < 2 else x
        return x

    error = (coordinates - targets) / sigma
    point = [error[..., 0], error[..., 1]]
    log_g = 0.0
    for i in reversed(range(LAYERS)):
        moved = i % 2
        given = torch.stack(
            [torch.zeros_like(p) if n == moved else p for n, p in enumerate(point)], -1
        )
        scale = torch.tanh(network("scale", i, given)[..., moved])
        shift = network("translate", i, given)[..., moved]
        point[moved] = (point[moved] - shift) / torch.exp(scale)
        log_g = log_g - scale
    normal = torch.distributions.Normal(0.0, 1.0)
    log_g = log_g + normal.log_prob(point[0]) + normal.log_prob(point[1])
    loss = torch.log(sigma) - log_g[..., None]
    if residual:
        kind = torch.distributions.Normal if gaussian else torch.distributions.Laplace
        loss = loss - kind(targets, sigma).log_prob(coordinates)
    return (loss.sum(-1) * weights).mean()


@pytest.mark.parametrize(
    ("residual", "q_distribution"), [(True, "laplace"), (True, "gaussian"), (False, "laplace")]
)
def test_value_and_gradients_equal_pytorchs(residual, q_distribution, flow, problem):
    torch = pytest.importorskip("torch")
    coordinates, sigma, targets, weights = problem
    loss = RLE(residual, q_distribution)
    value, gradients = jax.value_and_grad(loss)((coordinates, sigma, flow), targets, weights)

    arrays = jax.tree.map(
        lambda a: torch.tensor(np.asarray(a, np.float64), requires_grad=True), [*problem, flow]
    )
    expected = torch_loss(torch, arrays, residual, q_distribution == "gaussian")
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    expected_gradients = jax.tree.map(lambda a: a.grad.numpy(), (*arrays[:2], arrays[4]))
    for ours, theirs in zip(
        jax.tree.leaves(gradients), jax.tree.leaves(expected_gradients), strict=True
    ):
        # float32 sums of terms of both signs against float64.
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, np.abs(theirs).max()))


def test_the_flow_is_a_density(flow):
    side = jnp.linspace(-12.0, 12.0, 241)
    points = jnp.stack(jnp.meshgrid(side, side), -1)
    density = jnp.exp(realnvp_log_prob(flow, points))
    assert density.shape == (241, 241)
    # A sum on a grid of step 0.1 over nearly all of the mass.
    np.testing.assert_allclose(density.sum() * 0.01, 1, atol=0.01)


def test_a_flow_of_zeros_is_the_standard_normal(flow):
    points = jax.random.normal(jax.random.key(0), (7, 2))
    expected = jax.scipy.stats.norm.logpdf(points).sum(-1)
    actual = realnvp_log_prob(jax.tree.map(jnp.zeros_like, flow), points)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.slow
def test_unlabelled_keypoints_add_nothing_and_half_precision_is_finite(flow, problem):
    coordinates, sigma, targets, _ = problem
    weights = jnp.ones((3, 5)).at[1].set(0.0)
    loss = RLE()
    value, gradients = jax.value_and_grad(loss)((coordinates, sigma, flow), targets, weights)
    np.testing.assert_array_equal(gradients[0][1], 0)
    moved = coordinates.at[1].add(1.0)
    np.testing.assert_allclose(loss((moved, sigma, flow), targets, weights), value, rtol=1e-6)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (coordinates, sigma, flow))
    assert loss(half, targets, weights).dtype == jnp.float32
    vanishing = loss((targets, jnp.zeros_like(sigma), flow), targets, weights)
    assert np.isfinite(vanishing)
