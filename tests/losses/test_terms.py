"""Losses report their terms by name, and the terms add up to the loss."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_combine import CASES, B, K

from jaxpose.losses import (
    L1,
    MPJPE,
    HeatmapMSE,
    IntegralLoss,
    Loss,
    SmoothL1,
    StageSum,
    TrajectoryTargets,
    WeightedSum,
)

TERMS = {
    "CenterOffsetLoss": ["heatmaps", "offsets"],
    "StageSum": ["stage_1", "stage_2"],
    "StageSum of SimCC": ["stage_1", "stage_2"],
    "LossOfEach": ["output_1", "output_2"],
    "IntegralLoss": ["coordinates", "heatmaps"],
    "WeightedSum": ["L1", "MPJPE"],
    "Distillation": ["features", "outputs", "task"],
    "SimCC3DKL": ["depth", "plane"],
    "HandVolumeLoss": ["hands", "root", "volumes"],
    "ScoremapLoss": ["offsets", "scores"],
    "SurfacePointLoss": ["coarse", "fine", "uv"],
    "SurfaceLoss": ["coarse", "fine", "uv"],
    "VectorFieldLoss": ["mask", "vectors"],
    "SemiSupervised": ["bone_length", "pose", "reprojection", "trajectory"],
}


def arguments(name):
    loss, outputs, targets = CASES[name]
    weights = jnp.ones((B, K))
    if name == "CrossEntropy":
        weights = jnp.ones(B)
    if name in ("SurfaceLoss", "SurfacePointLoss"):
        weights = jnp.ones((B, 4, 3))
    if name in ("Velocity", "Acceleration"):
        weights = jnp.ones((B, 3, K))
    if name == "CenterOffsetLoss":
        weights = (jnp.ones((B, 4, 3)), jnp.ones((B, 4, 3, K)))
    if name == "SemiSupervised":
        labelled = jnp.ones((B, 1, K)).at[1].set(0.0)
        weights = TrajectoryTargets(labelled, jnp.ones((B, 1, 1)), 1 - labelled)
    return loss, outputs, targets, weights


@pytest.mark.parametrize("name", CASES)
def test_terms_add_up_to_the_loss(name):
    loss, *given = arguments(name)
    value, terms = jax.jit(loss.with_terms)(*given)
    assert sorted(terms) == TERMS.get(name, [])
    np.testing.assert_array_equal(value, jax.jit(loss)(*given))
    if terms:
        np.testing.assert_allclose(value, sum(terms.values()), rtol=1e-6)
        assert all(term.shape == () and term.dtype == jnp.float32 for term in terms.values())


def test_parts_of_parts_and_second_parts_of_a_class_have_names():
    outputs, targets = (jnp.ones((B, K, 2)), jnp.zeros((B, K, 2)))
    weights = jnp.ones((B, K))
    inner = WeightedSum((L1(), MPJPE()), (0.5, 2.0))
    value, terms = WeightedSum((inner, SmoothL1(), SmoothL1(0.5)), (3.0, 1.0, 1.0)).with_terms(
        outputs, targets, weights
    )
    assert list(terms) == ["WeightedSum/L1", "WeightedSum/MPJPE", "SmoothL1", "SmoothL1_2"]
    np.testing.assert_allclose(terms["WeightedSum/L1"], 1.5)
    np.testing.assert_allclose(value, sum(terms.values()), rtol=1e-6)
    maps = jnp.ones((B, 4, 3, K))
    stages = StageSum(IntegralLoss(L1(), HeatmapMSE()))
    _, terms = stages.with_terms(((outputs, maps), (outputs, maps)), (targets, maps * 0), weights)
    assert "stage_2/heatmaps" in terms and len(terms) == 4


def test_a_loss_of_ones_own_may_define_either():
    @dataclass(frozen=True)
    class Plain(Loss):
        def __call__(self, outputs, targets, weights):
            return jnp.mean(outputs)

    @dataclass(frozen=True)
    class Named(Loss):
        def with_terms(self, outputs, targets, weights):
            return jnp.mean(outputs) + 1.0, {"mean": jnp.mean(outputs), "one": jnp.ones(())}

    ones = jnp.ones((B, K))
    assert Plain().with_terms(ones, None, ones) == (1.0, {})
    assert Named()(ones, None, ones) == 2.0
    with pytest.raises(TypeError, match="neither __call__ nor with_terms"):
        Loss()(ones, None, ones)
