"""Feature pyramid over a trunk: maps, order of channels, statistics that stay fixed."""

import drawn
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.feature_pyramid import (
    FeaturePyramid,
    FixedStatistics,
    PyramidNeck,
    _pixels,
)


class Trunk(nn.Module):
    """Three strided convolutions with norms; `single` returns only the last map."""

    single: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        maps = []
        for i, width in enumerate((4, 6, 8)):
            images = ConvNorm(width, 3, 2, kernel_init_std=None, name=f"conv_{i}")(images, train)
            maps.append(images)
        return images if self.single else tuple(maps)


IMAGES = jax.random.normal(jax.random.key(0), (2, 32, 16, 3))
PYRAMID = FeaturePyramid(Trunk(), width=5)
VARIABLES = jax.jit(PYRAMID.init)(jax.random.key(1), IMAGES)


@pytest.mark.slow
def test_the_output_has_the_finest_maps_size_and_depends_on_every_parameter():
    assert PYRAMID.apply(VARIABLES, IMAGES).shape == (2, 16, 8, 5)

    @jax.jit
    @jax.grad
    def gradients(params):
        features = PYRAMID.apply({**VARIABLES, "params": params}, IMAGES)
        return jnp.square(features).mean()

    leaves = jax.tree_util.tree_leaves_with_path(gradients(VARIABLES["params"]))
    assert len(leaves) == 24
    for path, leaf in leaves:
        assert jnp.abs(leaf).max() > 0, path


def test_a_path_keeps_its_statistics_if_asked():
    kept = PYRAMID.clone(path_norm=False)
    found, state = kept.apply(VARIABLES, IMAGES, train=True, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, state["batch_stats"], VARIABLES["batch_stats"])
    np.testing.assert_allclose(found, PYRAMID.apply(VARIABLES, IMAGES), atol=1e-6)
    _, state = PYRAMID.apply(VARIABLES, IMAGES, train=True, mutable=["batch_stats"])
    before, after = (jax.tree.leaves(one["batch_stats"]) for one in (VARIABLES, state))
    assert any(np.any(x != y) for x, y in zip(before, after, strict=True))


def test_blocks_and_pixels_with_scales_of_zero_change_nothing():
    larger = PYRAMID.clone(blocks=1, patches=True)
    fresh = drawn.init(larger, IMAGES)
    added = set(fresh["params"]) - set(VARIABLES["params"])
    assert added == {"block_0_0", "block_1_0", "block_2_0", "pixels"}
    assert fresh["params"]["pixels"]["conv"]["kernel"].shape == (1, 1, 2 * 2 * 3, 5)
    start = {kind: {**fresh[kind], **VARIABLES[kind]} for kind in fresh}
    expected = PYRAMID.apply(VARIABLES, IMAGES)
    assert jnp.abs(larger.apply(start, IMAGES) - expected).max() > 0.1
    for name in added:
        norm = "norm" if name == "pixels" else "norm_1"
        start["params"][name][norm]["scale"] *= 0
    np.testing.assert_allclose(larger.apply(start, IMAGES), expected, atol=1e-6)


def test_pixels_are_those_under_a_place():
    image = jnp.arange(4 * 6 * 3.0).reshape(1, 4, 6, 3)
    np.testing.assert_array_equal(_pixels(image, (2, 2))[0, 1, 0], image[0, 2:, :3].ravel())


@pytest.mark.parametrize("trunk_norm", [False, True])
def test_the_trunks_statistics_change_only_where_asked(trunk_norm):
    model = PYRAMID.clone(trunk_norm=trunk_norm)
    _, updated = model.apply(VARIABLES, IMAGES, train=True, mutable=["batch_stats"])
    before, after = VARIABLES["batch_stats"], updated["batch_stats"]
    changed = {
        name: any(
            (a != b).any()
            for a, b in zip(
                jax.tree.leaves(before[name]), jax.tree.leaves(after[name]), strict=True
            )
        )
        for name in before
    }
    assert changed.pop("trunk") == trunk_norm
    assert all(changed.values())


def test_bgr_reverses_the_channels():
    reversed_ = PYRAMID.clone(bgr=True).apply(VARIABLES, IMAGES[..., ::-1])
    np.testing.assert_array_equal(reversed_, PYRAMID.apply(VARIABLES, IMAGES))


def test_a_trunk_with_one_map_is_refused():
    with pytest.raises(InputError, match="several maps"):
        FeaturePyramid(Trunk(single=True)).init(jax.random.key(0), IMAGES)


def test_the_neck_returns_every_map_and_its_finest_is_the_pyramids():
    params = {name: v for name, v in VARIABLES["params"].items() if name != "trunk"}
    stats = {name: v for name, v in VARIABLES["batch_stats"].items() if name != "trunk"}
    trunk = {kind: VARIABLES[kind]["trunk"] for kind in ("params", "batch_stats")}
    maps = Trunk().apply(trunk, IMAGES)
    found = PyramidNeck(5).apply({"params": params, "batch_stats": stats}, maps)
    assert [x.shape for x in found] == [(2, 16, 8, 5), (2, 8, 4, 5), (2, 4, 2, 5)]
    np.testing.assert_array_equal(found[0], PYRAMID.apply(VARIABLES, IMAGES))


def test_fixed_statistics_are_those_of_evaluation():
    model = FixedStatistics(Trunk())
    variables = {kind: {"trunk": VARIABLES[kind]["trunk"]} for kind in ("params", "batch_stats")}
    trained, updated = model.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
    for a, b in zip(trained, model.apply(variables, IMAGES), strict=True):
        np.testing.assert_array_equal(a, b)
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: bool((a == b).all()), updated["batch_stats"], variables["batch_stats"]
        )
    )
