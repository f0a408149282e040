"""Experts by dataset: fixed for a model, or one for each image."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import DeconvHead, PoseModel, init_variables, moe, vitpose_plus
from jaxpose.models.vit import ViT

TINY = PoseModel(
    ViT(input_hw=(32, 32), dim=16, depth=2, heads=2, patch=8, experts=3, part_features=6),
    DeconvHead(5, (8,)),
)


@pytest.fixture(scope="module")
def variables():
    return drawn.variables(TINY, (32, 32))


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (3, 32, 32, 3))


def on(dataset):
    return TINY.clone(backbone=TINY.backbone.clone(dataset=dataset))


def test_parameters_are_the_same_for_every_dataset_and_stacked_by_depth(variables):
    mlp = variables["params"]["backbone"]["blocks"]["mlp"]
    assert mlp["fc1"]["kernel"].shape == (2, 16, 64)
    assert mlp["fc2"]["kernel"].shape == (2, 64, 10)
    assert mlp["experts"]["kernel"].shape == (2, 3, 64, 6)
    assert mlp["experts"]["bias"].shape == (2, 3, 6)
    other = jax.eval_shape(lambda: init_variables(on(2), jax.random.key(0), (32, 32)))
    assert jax.tree.map(jnp.shape, other) == jax.tree.map(jnp.shape, variables)


@pytest.mark.slow
def test_one_expert_is_a_plain_mlp_with_joined_kernels(variables, images):
    params = jax.tree.map(lambda a: a, variables["params"])
    mlp = params["backbone"]["blocks"]["mlp"]
    experts = mlp.pop("experts")
    for leaf in ("kernel", "bias"):
        mlp["fc2"][leaf] = jnp.concatenate([mlp["fc2"][leaf], experts[leaf][:, 1]], -1)
    plain = TINY.clone(backbone=TINY.backbone.clone(experts=0, part_features=0))
    expected = plain.apply({**variables, "params": params}, images)
    # Equal but for the order of the sums in two matmuls instead of one.
    np.testing.assert_allclose(on(1).apply(variables, images), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_each_image_of_a_batch_may_be_of_another_dataset(variables, images):
    index = jnp.array([2, 0, 1])
    mixed = jax.jit(lambda v, x, i: TINY.apply(v, x, i, method="mixed"))(variables, images, index)
    for image, dataset in enumerate([2, 0, 1]):
        alone = on(dataset).apply(variables, images[image : image + 1])
        np.testing.assert_allclose(mixed[image : image + 1], alone, rtol=1e-4, atol=1e-7)
    assert float(jnp.abs(on(0).apply(variables, images) - on(2).apply(variables, images)).max()) > 0


def test_an_expert_learns_from_its_own_dataset_alone(variables, images):
    def loss(params):
        outputs = TINY.apply(
            {**variables, "params": params}, images, jnp.array([0, 2, 2]), method="mixed"
        )
        return jnp.square(outputs - 1.0).mean()

    gradient = jax.jit(jax.grad(loss))(variables["params"])
    experts = gradient["backbone"]["blocks"]["mlp"]["experts"]["kernel"]
    used = np.abs(np.asarray(experts)).max((0, 2, 3)) > 0
    np.testing.assert_array_equal(used, [True, False, True])


@pytest.mark.parametrize("index", [None, jnp.array([1, 0])], ids=["one", "each"])
def test_a_program_for_accelerators_keeps_the_input_of_gelu_alone(index, monkeypatch):
    layer = moe.MixtureMLP(64, experts=3, part_features=6, dataset=1, dtype="float32")
    x = jax.random.normal(jax.random.key(0), (2, 8, 16))
    variables = drawn.init(layer, x)

    def backward():
        return jax.vjp(lambda variables, x: layer.apply(variables, x, index), variables, x)[1]

    expected = backward()(jnp.ones_like(x))
    monkeypatch.setattr(moe, "recomputes", lambda: True)
    kept = [leaf for leaf in jax.tree.leaves(jax.eval_shape(backward)) if leaf.shape == (2, 8, 64)]
    assert len(kept) == 1
    for a, b in zip(*map(jax.tree.leaves, (backward()(jnp.ones_like(x)), expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": 3}, "needs a dataset below 3"),
        ({"part_features": 16}, "part_features between 0 and dim 16"),
    ],
)
def test_bad_attributes_are_named(change, message, images):
    model = TINY.clone(backbone=TINY.backbone.clone(**change))
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), images)


def test_a_dataset_index_needs_experts(images):
    model = TINY.clone(backbone=TINY.backbone.clone(experts=0))
    with pytest.raises(InputError, match="needs a ViT with experts"):
        jax.eval_shape(
            lambda: model.init(jax.random.key(0), images, jnp.zeros(3, jnp.int32), method="mixed")
        )


def test_vitpose_plus_comes_in_four_sizes():
    assert vitpose_plus("L", dataset=5).backbone.part_features == 256
    with pytest.raises(InputError, match="known: S, B, L, H"):
        vitpose_plus("G")
