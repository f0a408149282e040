"""A student beside a teacher: what is compared, what moves, and that it helps."""

import dataclasses
from pathlib import Path

import drawn
import jax
import numpy as np
import pytest

from jaxpose.config import from_json, to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.errors import InputError
from jaxpose.hub.load import weights
from jaxpose.losses import Distillation, FeatureDistillation, HeatmapDistillation, HeatmapMSE
from jaxpose.models import PoseModel
from jaxpose.models.distillation import DistillationModel, DistillOutputs, student_of
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.check_shapes import check_outputs
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.tasks.topdown.pretrained import with_pretrained
from jaxpose.train import mesh as meshes
from jaxpose.train.device_batches import to_device
from jaxpose.train.recipe import load_recipe
from jaxpose.train.state import new_state
from jaxpose.train.step import compile_step

TINY = Path(__file__).resolve().parents[2] / "tiny.py"


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory):
    """A release of the teacher, a wider network than the student, with a head that speaks up."""
    folder = tmp_path_factory.mktemp("teacher") / "release"
    model = teacher()
    variables = drawn.variables(model, (64, 48), 7)
    final = variables["params"]["head"]["final"]
    final["kernel"] = 0.05 * jax.random.normal(jax.random.key(8), final["kernel"].shape)
    card = Card("teacher", "drawn", "crops", COCO17.keypoints)
    save_release(folder, variables, {"model": to_json(model)}, card)
    return folder


def teacher() -> PoseModel:
    return PoseModel(
        ViT(input_hw=(64, 48), dim=48, depth=1, heads=2),
        DeconvHead(17, deconv_channels=(16, 16)),
    )


@pytest.fixture(scope="module")
def experiment(teacher_folder) -> TopDownExperiment:
    tiny = load_recipe(str(TINY))
    return dataclasses.replace(
        tiny,
        model=DistillationModel(tiny.model, teacher()),
        teacher_from=str(teacher_folder),
        loss=Distillation(HeatmapMSE(), HeatmapDistillation(), 1.0, FeatureDistillation()),
        optimizer=dataclasses.replace(tiny.optimizer, frozen=("teacher/.*",), learning_rate=5e-3),
        steps=100,
    )


@pytest.fixture(scope="module")
def trained(experiment):
    """Variables before and the state after thirty steps on one batch, with the losses."""
    check_outputs(experiment)
    mesh = meshes.make_mesh(experiment.mesh, jax.devices()[:1])
    fresh = drawn.variables(experiment.model, experiment.codec.input_hw)
    variables = with_pretrained(experiment, fresh, weights)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    state = jax.device_put(new_state(experiment, variables, tx), meshes.replicated(mesh))
    before = jax.device_get(state.variables())
    key = jax.device_put(jax.random.key(0), meshes.replicated(mesh))
    source = experiment.train_data.open()
    batch = to_device(source.samples(np.arange(experiment.batch_size)), mesh)
    step, losses = compile_step(experiment, state, batch, key), []
    for _ in range(30):
        state, scalars = step(state, batch, key)
        losses.append(float(scalars["loss"]))
    return before, jax.device_get(state), losses


@pytest.mark.slow
def test_the_teacher_stays_and_the_student_learns(trained):
    before, state, losses = trained
    for kind, now in (("params", state.params), ("batch_stats", state.batch_stats)):
        jax.tree.map(np.testing.assert_array_equal, before[kind]["teacher"], now["teacher"])
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), before["params"], dict(state.params)
    )
    assert min(jax.tree.leaves(moved["student"]["head"])) > 0
    assert min(jax.tree.leaves(moved["projection"])) > 0
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


@pytest.mark.slow
def test_the_teachers_weights_are_those_of_its_file(trained, teacher_folder):
    before, _, _ = trained
    release = drawn.variables(teacher(), (64, 48), seed=7)
    np.testing.assert_array_equal(
        before["params"]["teacher"]["backbone"]["patch_embed"]["projection"]["kernel"],
        release["params"]["backbone"]["patch_embed"]["projection"]["kernel"],
    )


def test_frozen_parameters_have_no_optimiser_state(trained, experiment):
    _, state, _ = trained
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for name, tree in state.params.items()
    }
    slots = sum(leaf.size for leaf in jax.tree.leaves(state.opt_state))
    assert slots < 2 * (sizes["student"] + sizes["projection"]) + 10


@pytest.mark.slow
def test_in_evaluation_it_is_the_student(trained, experiment):
    _, state, _ = trained
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    images = jax.random.normal(jax.random.key(1), (1, 64, 48, 3))
    student = {kind: tree["student"] for kind, tree in variables.items()}
    np.testing.assert_array_equal(
        experiment.model.apply(variables, images),
        experiment.model.student.apply(student, images),
    )


def test_a_release_and_a_second_stage_have_the_student_alone(experiment):
    variables = jax.eval_shape(
        lambda: experiment.model.init(jax.random.key(0), np.zeros((1, 64, 48, 3), np.float32))
    )
    estimator, found = experiment.task().estimator(variables)
    assert estimator.model == experiment.model.student
    assert found["params"] == variables["params"]["student"]
    plain = {"params": {"backbone": {}, "head": {}}, "batch_stats": {}}
    assert student_of(plain) == plain


def test_the_teacher_alone_may_be_compared_with():
    loss = Distillation(None, HeatmapDistillation())
    maps = np.ones((1, 2, 2, 17), np.float32)
    value, terms = loss.with_terms(
        DistillOutputs(2 * maps, None, maps, None), maps, np.ones((1, 17))
    )
    assert set(terms) == {"outputs"} and value == 1
    with pytest.raises(InputError, match="needs a task, outputs or features"):
        Distillation(None).with_terms(DistillOutputs(maps, None, maps, None), maps, None)


def test_it_goes_through_json(experiment):
    assert from_json(to_json(experiment)) == experiment


def test_a_teacher_for_other_keypoints_is_refused(experiment):
    other = teacher().clone(head=DeconvHead(5, deconv_channels=(16, 16)))
    wrong = dataclasses.replace(
        experiment, model=DistillationModel(experiment.model.student, other)
    )
    with pytest.raises(InputError, match="same keypoints"):
        check_outputs(wrong)


def test_a_teacher_without_weights_is_refused(experiment):
    with pytest.raises(InputError, match="teacher_from"):
        dataclasses.replace(experiment, teacher_from=None)


def test_a_frozen_pattern_without_a_parameter_is_refused(experiment):
    optimizer = dataclasses.replace(experiment.optimizer, frozen=("backbon/.*",))
    params = {"backbone": {"kernel": np.zeros((2, 2))}}
    with pytest.raises(InputError, match="matches no parameter"):
        optimizer.build(10, experiment.model).init(params)
