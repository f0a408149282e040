"""Distillation of detectors: its two terms against values computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.losses.detection import DetectionDistillation, distances_giou, quality_focal
from jaxpose.models.detection import Level
from jaxpose.models.distillation import DistillOutputs


def levels(seed):
    """Outputs of a head for maps of 4x4 and 2x2, one class."""
    rng = np.random.default_rng(seed)
    return tuple(
        Level(
            jnp.asarray(rng.uniform(0.5, 3.0, (2, n, n, 4)), jnp.float32),
            jnp.asarray(rng.normal(0, 2, (2, n, n, 1)), jnp.float32),
            None,
        )
        for n in (4, 2)
    )


def test_quality_focal_loss_by_hand():
    # sigmoid(0) = 0.5; entropy log 2 for every target; (0.5 - 0.8)^2 = 0.09.
    np.testing.assert_allclose(quality_focal(jnp.zeros(1), jnp.array([0.8])), 0.09 * np.log(2))
    # It is zero, and has no slope, where the probability is the target.
    logit = jnp.array(1.3)
    value, slope = jax.value_and_grad(quality_focal)(logit, jax.nn.sigmoid(logit))
    assert abs(float(value)) < 1e-7 and abs(float(slope)) < 1e-6


@pytest.mark.parametrize(
    ("a", "b", "giou"),
    [
        ((1, 1, 1, 1), (1, 1, 1, 1), 1.0),
        # 2x2 inside 4x4 around the same place: IoU 4 / 16, and the hull is the union.
        ((1, 1, 1, 1), (2, 2, 2, 2), 0.25),
        # x from -1 to 0 and from 0 to 1: no overlap, and the hull 2x2 is the union.
        ((1, 1, 0, 1), (0, 1, 1, 1), 0.0),
        # x from -2 to -1 and from 1 to 2: the hull is 4x2, of which the boxes cover a half.
        ((2, 1, -1, 1), (-1, 1, 2, 1), -0.5),
    ],
)
def test_generalised_iou_by_hand(a, b, giou):
    found = distances_giou(jnp.array([a], jnp.float32), jnp.array([b], jnp.float32))
    np.testing.assert_allclose(found, [giou], atol=1e-6)


def test_the_loss_is_zero_for_the_teachers_own_outputs():
    loss, terms = DetectionDistillation().with_terms(
        DistillOutputs(levels(0), None, levels(0), None), None, None
    )
    assert abs(float(loss)) < 1e-5
    assert set(terms) == {"classes", "boxes"}


def test_a_student_that_descends_comes_nearer_to_the_teacher():
    teacher = levels(0)

    def value(student):
        return DetectionDistillation()(DistillOutputs(student, None, teacher, None), None, None)

    step = jax.jit(
        lambda student: jax.tree.map(lambda x, g: x - g, student, jax.grad(value)(student))
    )
    student = levels(1)
    first = value(student)
    for _ in range(100):
        student = step(student)
    assert value(student) < 0.5 * first


def test_boxes_count_only_where_the_teacher_is_sure():
    teacher = levels(0)
    sure = [jax.nn.sigmoid(level.classes) >= 0.5 for level in teacher]
    student = tuple(
        level._replace(boxes=jnp.where(at, level.boxes, 9.0))
        for level, at in zip(teacher, sure, strict=True)
    )
    outputs = DistillOutputs(student, None, teacher, None)
    assert float(DetectionDistillation(least=0.5)(outputs, None, None)) < 1e-5
    assert float(DetectionDistillation(least=0.05)(outputs, None, None)) > 0.1
