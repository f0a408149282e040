"""Losses of the models for many people: gradients by finite differences, masks, terms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxpose.codecs import (
    AssociativeEmbedding,
    CompositeFields,
    Displacements,
    InstanceHeatmaps,
    Sample,
)
from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.codecs.composite_fields import CompositeMaps
from jaxpose.codecs.part_affinity import StageParts, openpose18_fields
from jaxpose.errors import InputError
from jaxpose.losses import (
    AssociativeEmbeddingLoss,
    CompositeFieldLoss,
    DisplacementLoss,
    InstanceHeatmapLoss,
    PartAffinityLoss,
)

SIZE = (32, 32)


def sample(count, maps):
    rng = np.random.default_rng(0)
    points = jnp.asarray(rng.uniform(2, 30, (2, 3, count, 2)), jnp.float32)
    visible = np.full((2, 3, count), 2)
    visible[1, 1:] = 0  # one person
    visible[:, :, 3] = 0
    counted = jnp.ones((2, *maps), bool).at[0, 0].set(False)
    return Sample(jnp.asarray(visible), points, counted=counted)


CASES = {
    "fields": (openpose18_fields(SIZE), PartAffinityLoss(19), 18),
    "tags": (AssociativeEmbedding(SIZE), AssociativeEmbeddingLoss(tag=1.0), 17),
    "tags of two resolutions": (
        AssociativeEmbedding(SIZE, higher=True),
        AssociativeEmbeddingLoss(tag=1.0),
        17,
    ),
    "composite fields": (CompositeFields((33, 33)), CompositeFieldLoss(), 17),
    "instances": (InstanceHeatmaps(SIZE, max_people=3), InstanceHeatmapLoss(), 17),
    "displacements": (Displacements(SIZE, min_extent=0.0), DisplacementLoss(1.0), 17),
}


def case(name):
    codec, loss, count = CASES[name]
    targets, weights = codec.encode(sample(count, codec.heatmap_hw))
    (shapes,) = codec.output_shapes(count)
    rng = np.random.default_rng(1)
    arrays = [jnp.asarray(rng.normal(0, 0.5, (2, *shape)), jnp.float32) for shape in shapes]
    if name == "instances":
        coupled, instances = (jax.nn.sigmoid(x) for x in arrays[:2])
        features = jnp.asarray(rng.normal(0, 1, (2, 3, 4)), jnp.float32)
        found = targets._replace(coupled=coupled, instances=instances, features=features)
        return loss, found, targets, weights
    outputs = arrays[0] if name == "fields" else tuple(arrays)
    form = CompositeMaps if name == "composite fields" else TagMaps
    if name == "composite fields" or "tags" in name:
        outputs = form(*arrays)
    return loss, outputs, targets, weights


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "composite fields" else ())
        for name in CASES
    ],
)
def test_gradients_are_those_of_finite_differences(name):
    loss, outputs, targets, weights = case(name)
    leaves, form = jax.tree.flatten(outputs)
    real = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    @jax.jit
    def cost(changed):
        every = dict(enumerate(leaves)) | dict(zip(real, changed, strict=True))
        return loss(jax.tree.unflatten(form, [every[i] for i in sorted(every)]), targets, weights)

    check_grads(
        cost,
        ([leaves[i] for i in real],),
        order=1,
        modes=["rev"],
        eps=1e-2,
        rtol=5e-3,
        atol=5e-3,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_terms_add_up_and_the_masked_row_costs_nothing(name):
    loss, outputs, targets, weights = case(name)
    total, terms = loss.with_terms(outputs, targets, weights)
    assert float(total) == pytest.approx(float(sum(terms.values())), rel=1e-6) and total > 0
    if "tags" in name or name == "instances":
        return  # tags and features are read in masked pixels, too, where a person is labelled

    def changed(x):
        return x.at[0, 0].add(3.0)

    moved = loss(jax.tree.map(changed, outputs), targets, weights)
    assert float(moved) == pytest.approx(float(total), rel=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1.0, -1e4, 1e4])
@pytest.mark.parametrize("name", CASES)
def test_bfloat16_gives_no_nan(name, scale):
    loss, outputs, targets, weights = case(name)
    leaves, form = jax.tree.flatten(outputs)
    real = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    @jax.jit
    def cost(changed):
        every = dict(enumerate(leaves)) | dict(zip(real, changed, strict=True))
        return loss(jax.tree.unflatten(form, [every[i] for i in sorted(every)]), targets, weights)

    half = [leaves[i] * scale for i in real]
    if name == "instances":  # probabilities stay in [0, 1], and may be either
        half = [*(jnp.clip(x, 0.0, 1.0) for x in half[:-1]), half[-1]]
    value, gradient = jax.value_and_grad(cost)([x.astype(jnp.bfloat16) for x in half])
    assert value.dtype == jnp.float32 and np.isfinite(value)
    for leaf in gradient:
        assert np.isfinite(leaf.astype(jnp.float32)).all()


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_costs_what_its_rounded_outputs_cost(name):
    loss, outputs, targets, weights = case(name)
    half = jax.tree.map(
        lambda x: x.astype(jnp.bfloat16) if jnp.issubdtype(x.dtype, jnp.floating) else x, outputs
    )
    full = jax.tree.map(lambda x, y: x.astype(y.dtype), half, outputs)
    np.testing.assert_allclose(
        loss(half, targets, weights), loss(full, targets, weights), rtol=1e-4
    )


def test_a_stage_of_one_kind_is_compared_in_this_kind():
    loss, outputs, targets, weights = case("fields")
    whole = loss.with_terms(outputs, targets, weights)[1]
    maps = loss(StageParts(maps=outputs[..., :19]), targets, weights)
    fields = loss(StageParts(fields=outputs[..., 19:]), targets, weights)
    assert float(maps) == pytest.approx(float(whole["maps"]))
    assert float(fields) == pytest.approx(float(whole["fields"]))
    with pytest.raises(InputError, match="as many keypoints and limbs"):
        loss(outputs[..., 1:], targets, weights)
