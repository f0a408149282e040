"""SRCNN on heatmaps: shapes, where it starts, and that it learns what bilinear cannot do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose.codecs.heatmap import udp
from jaxpose.codecs.sample import Sample
from jaxpose.models.heads import DeconvHead
from jaxpose.models.refine import SRCNN, RefinedHead
from jaxpose.models.upsample import enlarge


@pytest.fixture(scope="module")
def maps() -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (2, 8, 6, 3))


@pytest.mark.parametrize("enlarge_first", [True, False])
def test_a_fresh_residual_refiner_is_bilinear_enlargement(maps, enlarge_first):
    refiner = SRCNN(scale=2, enlarge_first=enlarge_first)
    refined = refiner.apply(refiner.init(jax.random.key(1), maps), maps)
    np.testing.assert_array_equal(refined, enlarge(maps, 2))


@pytest.mark.parametrize("sizes", [(9, 5, 5), (9, 1, 5)])
def test_layers_are_those_of_the_paper(maps, sizes):
    refiner = SRCNN(scale=4, sizes=sizes, residual=False, dtype="bfloat16")
    refined, variables = refiner.init_with_output(jax.random.key(1), maps)
    kernels = [variables["params"][f"conv_{i}"]["kernel"].shape for i in range(3)]
    widths = (3, 64, 32, 3)
    assert kernels == [(n, n, widths[i], widths[i + 1]) for i, n in enumerate(sizes)]
    assert refined.shape == (2, 32, 24, 3)
    assert refined.dtype == jnp.float32


def test_values_made_on_the_coarse_map_land_on_their_pixels(maps):
    # A last convolution that is all bias, one value for each place within a coarse pixel.
    refiner = SRCNN(scale=2, enlarge_first=False)
    variables = refiner.init(jax.random.key(1), maps)
    bias = jnp.arange(2 * 2 * 3, dtype=jnp.float32)
    variables["params"]["conv_2"]["bias"] = bias
    added = refiner.apply(variables, maps) - enlarge(maps, 2)
    expected = jnp.tile(bias.reshape(2, 2, 3), (8, 6, 1))[None]
    np.testing.assert_allclose(added, jnp.broadcast_to(expected, added.shape), atol=1e-5)


@pytest.mark.slow
def test_the_head_has_its_keypoints_and_enlarges_its_maps():
    head = RefinedHead(DeconvHead(5, (8,)), SRCNN(widths=(4, 4)))
    features = jnp.ones((1, 4, 3, 7))
    heatmaps, variables = head.init_with_output(jax.random.key(0), features)
    assert head.num_keypoints == 5
    assert heatmaps.shape == (1, 16, 12, 5)
    assert set(variables["params"]) == {"head", "refiner"}


@pytest.mark.slow
def test_it_learns_to_sharpen_and_to_drop_false_peaks():
    # The third map's true peak is where the first two agree; a second peak is false.
    coarse_codec, fine_codec = udp((64, 64), (16, 16)), udp((64, 64), (32, 32))
    rng = np.random.default_rng(0)
    points = jnp.asarray(rng.uniform(12, 52, (64, 1, 2)), jnp.float32).repeat(3, axis=1)
    visible = jnp.full((64, 3), 2)
    coarse, _ = coarse_codec.encode(Sample(visible, points))
    false, _ = coarse_codec.encode(Sample(visible, 64 - points))
    coarse = coarse.at[..., 2].add(1.2 * false[..., 2])
    target, _ = fine_codec.encode(Sample(visible, points))
    refiner = SRCNN(widths=(16, 8))
    params = refiner.init(jax.random.key(1), coarse)
    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, state):
        def loss(params):
            return jnp.mean((refiner.apply(params, coarse) - target) ** 2)

        updates, state = tx.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    def error(maps):
        return float(jnp.linalg.norm(fine_codec.decode(maps).keypoints - points, axis=-1).mean())

    state = tx.init(params)
    for _ in range(60):
        params, state = step(params, state)
    assert error(refiner.apply(params, coarse)) < 0.5 * error(enlarge(coarse, 2))
