"""Losses of several outputs, distillation, and every loss with bfloat16 outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CenterKeypoints, CenterPeople, DisplacementFields, Landmarks, Sample
from jaxpose.codecs.densepose import PointTargets, SurfaceOutputs, SurfaceTargets
from jaxpose.codecs.hand_volumes import HandOutputs, HandTargets
from jaxpose.codecs.landmarks import LandmarkOutputs
from jaxpose.codecs.scoremap import ScoremapOutputs, ScoremapTargets
from jaxpose.codecs.simcc_3d import DepthTargets
from jaxpose.codecs.vector_fields import VectorFields
from jaxpose.errors import InputError
from jaxpose.losses import (
    L1,
    MPJPE,
    NMPJPE,
    OHKM,
    OKS,
    RLE,
    Acceleration,
    AdaptiveWing,
    BoneLength,
    CenterKeypointLoss,
    CenterOffsetLoss,
    CenterPeopleLoss,
    CrossEntropy,
    DisplacementFieldLoss,
    Distillation,
    FeatureDistillation,
    HandVolumeLoss,
    HeatmapDistillation,
    HeatmapJS,
    HeatmapMSE,
    IntegralLoss,
    LandmarkLoss,
    LossOfEach,
    MeanBoneLength,
    Reprojection,
    ScoremapLoss,
    SemiSupervised,
    SimCC3DKL,
    SimCCDistillation,
    SimCCKL,
    SmoothL1,
    StageSum,
    SurfaceLoss,
    SurfacePointLoss,
    TrajectoryMPJPE,
    TrajectoryTargets,
    VectorFieldLoss,
    Velocity,
    WeightedSum,
    Wing,
    feature_distillation,
    simcc_distillation,
)
from jaxpose.models.distillation import DistillOutputs

B, K = 2, 9


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 1, shape), jnp.float32)


def maps(seed=0):
    return jnp.abs(normal(seed, B, 4, 3, K)) / 4


def points(seed=0):
    return normal(seed, B, K, 2)


def poses(seed=0):
    return normal(seed, B, K, 3)


def vectors(seed=0):
    return normal(seed, B, K, 6), normal(seed + 1, B, K, 8)


def rle_outputs():
    sizes = ((2, 4), (4, 4), (4, 2))
    flow = {}
    for name in ("scale", "translate"):
        for i, (width_in, width_out) in enumerate(sizes):
            flow[f"{name}_kernel_{i}"] = 0.1 * normal(i, 2, width_in, width_out)
            flow[f"{name}_bias_{i}"] = 0.1 * normal(i, 2, width_out)
    return points(), jax.nn.sigmoid(points(3)), flow


CASES = {
    "HeatmapMSE": (HeatmapMSE(), maps(), maps(1)),
    "OHKM": (OHKM(), maps(), maps(1)),
    "AdaptiveWing": (AdaptiveWing(), maps(), maps(1)),
    "HeatmapJS": (HeatmapJS(), maps(), maps(1)),
    "SimCCKL": (SimCCKL(), vectors(), jax.tree.map(jax.nn.softmax, vectors(2))),
    "SimCCKL RTMPose": (SimCCKL(10.0, True), vectors(), jax.tree.map(jnp.abs, vectors(2))),
    "SimCC3DKL": (
        SimCC3DKL(),
        (*vectors(), normal(5, B, K, 6)),
        DepthTargets(*jax.tree.map(jnp.abs, (*vectors(2), normal(6, B, K, 6))), jnp.ones((B, K))),
    ),
    "HandVolumeLoss": (
        HandVolumeLoss(),
        HandOutputs(normal(0, B, 4, 3, K, 2), normal(1, B, 1), normal(2, B, 2)),
        HandTargets(normal(3, B, 4, 3, K, 2), normal(4, B, 1), jnp.ones((B, 2)), jnp.ones((B, 1))),
    ),
    "ScoremapLoss": (
        ScoremapLoss(),
        ScoremapOutputs(maps(), normal(1, B, 4, 3, K, 2)),
        ScoremapTargets(maps(2), normal(3, B, 4, 3, K, 2), jnp.ones((B, 4, 3, K))),
    ),
    "L1": (L1(), points(), points(1)),
    "SmoothL1": (SmoothL1(), points(), points(1)),
    "Wing": (Wing(), points(), points(1)),
    "MPJPE": (MPJPE(), points(), points(1)),
    "BoneLength": (BoneLength(((0, 1), (1, 2))), points(), points(1)),
    "OKS": (OKS((0.05,) * K), points(), points(1)),
    "NMPJPE": (NMPJPE(), poses(), poses(1)),
    "TrajectoryMPJPE": (TrajectoryMPJPE(), poses(), poses(1)),
    "MeanBoneLength": (MeanBoneLength(((0, 1), (1, 2))), poses(), poses(1)),
    "Reprojection": (Reprojection(), (poses(), normal(2, B, 1, 3)), points(1)),
    "SemiSupervised": (
        SemiSupervised(((0, 1), (1, 2))),
        (normal(0, B, 1, K, 3), normal(1, B, 1, 1, 3)),
        TrajectoryTargets(normal(2, B, 1, K, 3), normal(3, B, 1, 1, 3), normal(4, B, 1, K, 2)),
    ),
    "Velocity": (Velocity(), normal(0, B, 3, K, 3), normal(1, B, 3, K, 3)),
    "Acceleration": (Acceleration(), normal(0, B, 3, K, 2), normal(1, B, 3, K, 2)),
    "RLE": (RLE(), rle_outputs(), points(1)),
    "CenterOffsetLoss": (
        CenterOffsetLoss(),
        (normal(0, B, 4, 3, K + 1), normal(1, B, 4, 3, 2 * K)),
        (jnp.abs(normal(2, B, 4, 3, K + 1)), normal(3, B, 4, 3, 2 * K)),
    ),
    "CrossEntropy": (CrossEntropy(0.1), normal(0, B, 5), jnp.arange(B)),
    "VectorFieldLoss": (
        VectorFieldLoss(),
        VectorFields(normal(0, B, 4, 3, 2), normal(1, B, 4, 3, 2 * K)),
        VectorFields(jnp.full((B, 4, 3, 2), 0.5), normal(3, B, 4, 3, 2 * K)),
    ),
    "SurfacePointLoss": (
        SurfacePointLoss(),
        SurfaceOutputs(normal(0, B, 4, 3, 2), *(normal(i, B, 4, 3, 25) for i in (1, 2, 3))),
        PointTargets(
            (jnp.arange(24) % 7 > 0).astype(jnp.int32).reshape(B, 4, 3),
            jax.random.uniform(jax.random.key(0), (B, 5, 2), maxval=2.0),
            (jnp.arange(10) % 7).reshape(B, 5),
            jax.random.uniform(jax.random.key(1), (B, 5, 2)),
        ),
    ),
    "SurfaceLoss": (
        SurfaceLoss(),
        SurfaceOutputs(normal(0, B, 4, 3, 2), *(normal(i, B, 4, 3, 25) for i in (1, 2, 3))),
        SurfaceTargets(
            (jnp.arange(24) % 7 > 0).astype(jnp.int32).reshape(B, 4, 3),
            (jnp.arange(24) % 7).reshape(B, 4, 3),
            jnp.abs(normal(4, B, 4, 3, 2)),
        ),
    ),
    "StageSum": (StageSum(HeatmapMSE()), (maps(), maps(2)), maps(1)),
    "LossOfEach": (
        LossOfEach((HeatmapMSE(), OHKM(2)), (0.25, 1.0)),
        (maps(), maps(2)),
        (maps(1), maps(3)),
    ),
    "StageSum of SimCC": (
        StageSum(SimCCKL()),
        (vectors(), vectors(4)),
        jax.tree.map(jax.nn.softmax, vectors(2)),
    ),
    "IntegralLoss": (
        IntegralLoss(SmoothL1(), HeatmapJS()),
        (points(), maps()),
        (points(1), maps(1)),
    ),
    "WeightedSum": (WeightedSum((L1(), MPJPE()), (0.5, 2.0)), points(), points(1)),
    "FeatureDistillation": (FeatureDistillation(), maps(), maps(1)),
    "SimCCDistillation": (SimCCDistillation(2.0), vectors(), vectors(2)),
    "HeatmapDistillation": (HeatmapDistillation(), maps(), maps(1)),
    "Distillation": (
        Distillation(HeatmapMSE(), HeatmapDistillation(), 0.5, FeatureDistillation()),
        DistillOutputs(maps(), maps(2), maps(3), maps(4)),
        maps(1),
    ),
}


# Losses whose targets and weights are several fields, with the codec that makes them.
TREE = ((0, 1), (1, 2))
PEOPLE = np.array([[[[20, 10], [12, 30], [31, 33]], [[70, 12], [61, 35], [82, 30]]]], np.float32)
ENCODED = {
    "CenterKeypointLoss": (CenterKeypointLoss(), CenterKeypoints((48, 64)), PEOPLE[:, 0]),
    "CenterPeopleLoss": (CenterPeopleLoss(), CenterPeople((64, 96)), PEOPLE),
    "DisplacementFieldLoss": (
        DisplacementFieldLoss(TREE),
        DisplacementFields((65, 97), stride=16, tree=TREE),
        PEOPLE,
    ),
    "LandmarkLoss": (LandmarkLoss(), Landmarks("body"), PEOPLE[:, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale", [0.0, 1e4, *(pytest.param(s, marks=pytest.mark.slow) for s in (1.0, -1e4))]
)
@pytest.mark.parametrize("name", ENCODED)
def test_bfloat16_gives_no_nan_with_encoded_fields(name, scale):
    loss, codec, people = ENCODED[name]
    visible = jnp.full(people.shape[:-1], 2).at[..., 1].set(0)
    targets, weights = codec.encode(Sample(visible, jnp.asarray(people)))
    if name == "LandmarkLoss":
        half = LandmarkOutputs(normal(0, 1, 3, 5), normal(1, 1, 1))
    else:
        leaves, structure = jax.tree.flatten(targets)
        made = [normal(i, *leaf.shape) for i, leaf in enumerate(leaves)]
        half = jax.tree.unflatten(structure, made)
    half = jax.tree.map(lambda a: (scale * a).astype(jnp.bfloat16), half)
    value, gradient = jax.value_and_grad(loss)(half, targets, weights)
    assert value.dtype == jnp.float32 and np.isfinite(value)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf.astype(jnp.float32)).all()


@pytest.mark.parametrize("scale", [0.0, 1.0, -1e4, 1e4])
@pytest.mark.parametrize("name", CASES)
def test_bfloat16_gives_no_nan(name, scale):
    loss, outputs, targets = CASES[name]
    if name == "RLE":
        # A standard deviation stays between 0 and 1, and the flow what it is.
        coordinates, _, flow = outputs
        outputs = (scale * coordinates, jax.nn.sigmoid(scale / 1e3 * coordinates), flow)
    else:
        outputs = jax.tree.map(lambda a: scale * a, outputs)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), outputs)
    weights = jnp.ones((B, K)).at[1, 3:].set(0.0)
    if name in ("Velocity", "Acceleration"):
        weights = jnp.broadcast_to(weights[:, None], (B, 3, K))
    if name == "CenterOffsetLoss":
        weights = (jnp.ones((B, 4, 3)), jnp.broadcast_to(weights[:, None, None], (B, 4, 3, K)))
    if name == "CrossEntropy":
        weights = weights[:, 0]
    if name in ("SurfaceLoss", "SurfacePointLoss"):
        weights = jnp.ones((B, 4, 3)).at[1, 2:].set(0.0)
    if name == "SemiSupervised":
        labelled = weights[:, None]
        weights = TrajectoryTargets(labelled, jnp.ones((B, 1, 1)), 1 - labelled)
    value, gradient = jax.value_and_grad(loss)(half, targets, weights)
    assert value.dtype == jnp.float32 and np.isfinite(value)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf.astype(jnp.float32)).all()


def test_every_loss_is_tried():
    import jaxpose.losses as losses

    public = {getattr(losses, name) for name in losses.__all__}
    classes = {c for c in public if isinstance(c, type) and issubclass(c, losses.Loss)}
    tried = {type(loss) for loss, _, _ in (*CASES.values(), *ENCODED.values())}
    elsewhere = {  # test_image_losses and test_one_stage_loss
        losses.AssociativeEmbeddingLoss,
        losses.CompositeFieldLoss,
        losses.DisplacementLoss,
        losses.InstanceHeatmapLoss,
        losses.OneStageLoss,
        losses.PartAffinityLoss,
    }
    assert classes - {losses.Loss} == tried | elsewhere


def test_stages_add_up():
    weights = jnp.ones((B, K))
    both = StageSum(HeatmapMSE())((maps(), maps(2)), maps(1), weights)
    alone = [HeatmapMSE()(m, maps(1), weights) for m in (maps(), maps(2))]
    np.testing.assert_allclose(both, sum(alone), rtol=1e-6)
    with pytest.raises(InputError, match="use HeatmapMSE by itself"):
        StageSum(HeatmapMSE())(maps(), maps(1), weights)


def test_integral_loss_leaves_maps_alone_unless_told():
    outputs, targets = (points(), maps()), (points(1), maps(1))
    weights = jnp.ones((B, K))
    alone = IntegralLoss(L1())(outputs, targets, weights)
    np.testing.assert_allclose(alone, L1()(points(), points(1), weights))
    both = IntegralLoss(L1(), HeatmapMSE(), 3.0)(outputs, targets, weights)
    extra = 3 * HeatmapMSE()(maps(), maps(1), weights)
    np.testing.assert_allclose(both, alone + extra, rtol=1e-6)


def test_a_weighted_sum_needs_a_factor_for_each():
    with pytest.raises(InputError, match="2 losses and 1 factors"):
        WeightedSum((L1(), MPJPE()), (1.0,))


def test_no_gradient_reaches_the_teacher():
    weights = jnp.ones((B, K))
    for name in ("FeatureDistillation", "SimCCDistillation", "HeatmapDistillation"):
        loss, student, teacher = CASES[name]
        gradients = jax.grad(loss, argnums=(0, 1))(student, teacher, weights)
        assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients[0]))
        assert all(np.abs(leaf).max() == 0 for leaf in jax.tree.leaves(gradients[1]))


def test_distillation_by_hand():
    # DWPose: the summed square over the batch.
    value = feature_distillation(jnp.ones((2, 3, 2, 4)), jnp.full((2, 3, 2, 4), 3.0))
    np.testing.assert_allclose(value, 4 * 3 * 2 * 4)
    with pytest.raises(InputError, match="project them"):
        feature_distillation(jnp.ones((2, 3, 2, 4)), jnp.ones((2, 3, 2, 5)))
    p, q = (np.asarray([a, 1 - a]) for a in (0.8, 0.3))
    student, teacher = (jnp.log(jnp.asarray(x))[None, None] for x in (q, p))
    weights = jnp.ones((1, 1))
    value = simcc_distillation((student, student), (teacher, teacher), weights)
    np.testing.assert_allclose(value, 2 * np.sum(p * np.log(p / q)), rtol=1e-5)
    same = simcc_distillation((student, student), (student + 5, student), weights, temperature=4.0)
    np.testing.assert_allclose(same, 0, atol=1e-5)
