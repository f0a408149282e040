"""The ViT backbone: one parameter layout, and the switches that must not change the result."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64 import enable_x64

from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.models.patches import PatchEmbedding
from jaxpose.models.published.vitpose import vitpose
from jaxpose.models.vit import ViT
from jaxpose.models.vit_block import drop_path

TINY = ViT(input_hw=(32, 32), dim=16, depth=3, heads=2, patch=8, drop_path=0.4)


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, TINY.input_hw)


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (2, 32, 32, 3))


def value_and_gradients(model, variables, images):
    """A training step's loss and gradients, drop path included."""

    @jax.jit
    def run(params):
        def loss(params):
            y = model.apply(
                {"params": params}, images, train=True, rngs={"dropout": jax.random.key(2)}
            )
            return jnp.square(y.astype(jnp.float32) - 0.5).mean()

        return jax.value_and_grad(loss)(params)

    return run(variables["params"])


def close(a, b, tolerance=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance, rtol=1e-4), a, b)


@pytest.fixture(scope="module")
def reference(variables, images):
    return value_and_gradients(TINY, variables, images)


def test_blocks_are_stored_stacked_by_depth(variables):
    blocks = variables["params"]["blocks"]
    assert {leaf.shape[0] for leaf in jax.tree.leaves(blocks)} == {3}
    assert blocks["attention"]["qkv"]["kernel"].shape == (3, 16, 3, 2, 8)
    layers = np.asarray(blocks["mlp"]["fc1"]["kernel"])
    assert not np.allclose(layers[0], layers[1])  # each layer has its own draw


@pytest.mark.parametrize(
    "change", [{"unroll": 1}, {"unroll": 2}, {"remat": "block"}, {"remat": "dots", "unroll": 1}]
)
def test_unrolling_and_rematerialising_change_nothing(change, variables, images, reference):
    close(value_and_gradients(TINY.clone(**change), variables, images), reference)


@pytest.mark.slow
def test_gradients_equal_finite_differences(variables, images):
    # Weights of unit scale, so that no gradient drowns; float64 but for softmax, which is float32.
    with enable_x64(True):
        model = TINY.clone(drop_path=0.0, dtype="float64")
        params = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
        params = jax.tree.map(lambda a: a * 0.3 / a.std() if a.std() > 0 else a, params)
        x = np.asarray(images, np.float64)
        target = np.random.default_rng(0).standard_normal((2, 4, 4, 16))
        loss = jax.jit(lambda params: (model.apply({"params": params}, x) * target).sum())
        gradients = jax.grad(loss)(params)
        leaves, structure = jax.tree.flatten(params)
        rng = np.random.default_rng(1)
        for i, gradient in enumerate(jax.tree.leaves(gradients)):
            direction = rng.standard_normal(gradient.shape)

            def moved(step, i=i, direction=direction):
                changed = [*leaves[:i], leaves[i] + step * direction, *leaves[i + 1 :]]
                return float(loss(jax.tree.unflatten(structure, changed)))

            slope = (moved(1e-3) - moved(-1e-3)) / 2e-3
            exact = float((np.asarray(gradient) * direction).sum())
            assert abs(slope - exact) <= 1e-3 * abs(exact) + 1e-2, structure


def test_bfloat16_keeps_float32_parameters_and_no_nan(variables, images, reference):
    model = TINY.clone(dtype="bfloat16")
    loss, gradients = value_and_gradients(model, variables, images)
    assert jax.eval_shape(model.apply, variables, images).dtype == jnp.bfloat16
    np.testing.assert_allclose(loss, reference[0], rtol=2e-2)
    assert {g.dtype for g in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_evaluation_needs_no_random_numbers_and_drops_nothing(variables, images):
    without = TINY.clone(drop_path=0.0)
    close(TINY.apply(variables, images), without.apply(variables, images))
    close(TINY.apply(variables, images), without.apply(variables, images, train=True))


def test_drop_path_drops_whole_samples_and_keeps_the_expectation():
    x = jnp.ones((20_000, 2))
    y = np.asarray(drop_path(x, 0.3, jax.random.key(0)))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    assert (y[:, 0] == y[:, 1]).all()
    np.testing.assert_allclose(y.mean(), 1.0, atol=0.02)


def without_branches(params):
    """New parameters: attention and MLP of every block add zero."""

    def leaf(path, value):
        silenced = {"attention", "out"}, {"mlp", "fc2"}
        names = {key.key for key in path}
        return jnp.where(any(pair <= names for pair in silenced), 0.0, value)

    return jax.tree_util.tree_map_with_path(leaf, params)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "rate"), [(0, 0.0), (1, 0.2), (2, 0.4)])
def test_drop_path_rate_rises_linearly_from_zero(layer, rate, variables, images):
    # All branches silenced but one: its bias alone tells whether the sample kept it.
    params = without_branches(variables["params"])
    silent = TINY.apply({"params": params}, images[:1])
    bias = params["blocks"]["mlp"]["fc2"]["bias"].at[layer].set(jnp.arange(16.0))
    params["blocks"]["mlp"]["fc2"]["bias"] = bias
    many = jnp.broadcast_to(images[:1], (500, *images.shape[1:]))

    @jax.jit
    def train(params):
        rngs = {"dropout": jax.random.key(3)}
        return TINY.apply({"params": params}, many, train=True, rngs=rngs)

    dropped = np.isclose(train(params), silent, atol=1e-5).all((1, 2, 3))
    np.testing.assert_allclose(dropped.mean(), rate, atol=0.06 if rate else 0.0)


def test_patch_embedding_is_a_strided_convolution():
    x = jax.random.normal(jax.random.key(0), (2, 32, 48, 3))
    for padding in (0, 2):
        layer = PatchEmbedding(dim=5, patch=16, padding=padding, dtype="float32")
        params = drawn.init(layer, x)
        kernel = params["params"]["projection"]["kernel"].reshape(16, 16, 3, 5)
        expected = jax.lax.conv_general_dilated(
            x,
            kernel,
            (16, 16),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        np.testing.assert_allclose(layer.apply(params, x), expected, atol=1e-5)


def test_convolutional_stem_trains_batch_norm(images):
    model = TINY.clone(stem="conv", drop_path=0.0)
    variables = drawn.variables(model, model.input_hw)
    step = jax.jit(lambda v: model.apply(v, images, train=True, mutable=["batch_stats"]))
    y, updated = step(variables)
    assert y.shape == (2, 4, 4, 16)
    before, after = (jax.tree.leaves(t["batch_stats"]) for t in (variables, updated))
    assert all(not np.allclose(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("size", "billions"), [("g", 1.015), ("G", 1.848)])
def test_giant_sizes_have_their_shapes(size, billions):
    """arXiv:2106.04560 has 1011 and 1843 million; patches of 16 and the decoder add the rest."""
    model = vitpose(size)
    variables = abstract_variables(model, (256, 192))
    assert abs(count_parameters(variables) / 1e9 - billions) < 0.01 * billions
    images = jax.ShapeDtypeStruct((1, 256, 192, 3), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).shape == (1, 64, 48, 17)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_hw": (64, 32)}, "input_hw"),
        ({"heads": 3}, "heads"),
        ({"patch": 12}, "multiple of patch"),
        ({"stem": "convolution"}, "stem must be one of patch, conv"),
        ({"remat": "all"}, "remat must be one of"),
        ({"attention": "flash"}, "attention must be one of"),
    ],
)
def test_bad_attributes_are_named(change, message, images):
    model = TINY.clone(**change)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), images)
