"""Where weights come from: a plain checkpoint, and a teacher's knowledge token."""

import dataclasses
from pathlib import Path

import drawn
import jax
import numpy as np
import pytest

from jaxpose.config import override, to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.errors import InputError
from jaxpose.hub.load import weights
from jaxpose.metrics import PCK
from jaxpose.skeletons import COCO17, LSP14
from jaxpose.tasks.topdown.experiment import Evaluation
from jaxpose.tasks.topdown.pretrained import with_pretrained
from jaxpose.train.experiment import Mesh
from jaxpose.train.init_state import abstract_state, first_state
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe

TINY = Path(__file__).resolve().parents[2] / "tiny.py"
HW = (64, 48)


@pytest.fixture(scope="module")
def tiny():
    return load_recipe(str(TINY))


@pytest.fixture(scope="module")
def release(tiny, tmp_path_factory):
    """Writes a release of a model; returns the folder and the variables."""

    def write(model, seed):
        folder = tmp_path_factory.mktemp("release") / "it"
        variables = drawn.variables(model, HW, seed)
        card = Card("tiny", "drawn", "crops", COCO17.keypoints)
        save_release(folder, variables, {"model": to_json(model)}, card)
        return str(folder), jax.device_get(variables)

    return write


def fresh(experiment):
    return drawn.variables(experiment.model, HW, seed=9)


def test_a_model_with_a_token_starts_from_weights_without_one(tiny, release):
    path, known = release(tiny.model, 1)
    experiment = override(tiny, ["model.backbone.knowledge_token=32", f"init_from={path}"])
    variables = with_pretrained(experiment, fresh(experiment), weights)
    backbone = variables["params"]["backbone"]
    token = fresh(experiment)["params"]["backbone"]["knowledge_token"]
    np.testing.assert_array_equal(backbone["knowledge_token"], token)
    del backbone["knowledge_token"]
    jax.tree.map(np.testing.assert_array_equal, variables["params"], known["params"])


def test_other_keypoints_begin_as_those_that_are_named(tiny, release):
    path, known = release(tiny.model, 6)
    model = tiny.model.clone(head=tiny.model.head.clone(num_keypoints=14))
    evaluation = Evaluation(metrics=(PCK(0.2),))
    start = {"skeleton": LSP14, "model": model, "evaluation": evaluation, "init_from": path}
    rows = (*(COCO17.index(name) for name in LSP14.keypoints[:12]), COCO17.index("nose"), -1)
    experiment = dataclasses.replace(tiny, **start, init_keypoints=rows)
    loaded = with_pretrained(experiment, fresh(experiment), weights)["params"]
    kernel, theirs = (p["head"]["final"]["kernel"] for p in (loaded, known["params"]))
    np.testing.assert_array_equal(kernel[..., :13], theirs[..., list(rows[:13])])
    own = fresh(experiment)["params"]["head"]["final"]["kernel"]
    np.testing.assert_array_equal(kernel[..., 13], own[..., 13])
    jax.tree.map(np.testing.assert_array_equal, loaded["backbone"], known["params"]["backbone"])
    with pytest.raises(InputError, match="one number for each of the 14 keypoints"):
        dataclasses.replace(tiny, **start, init_keypoints=rows[:3])
    with pytest.raises(InputError, match="needs init_from"):
        dataclasses.replace(tiny, **start | {"init_from": None}, init_keypoints=rows)
    with pytest.raises(InputError, match="leave reset_head out"):
        dataclasses.replace(tiny, **start, init_keypoints=rows, reset_head=True)


def test_given_weights_lie_on_a_mesh_as_fresh_ones_do(tiny, release):
    path, known = release(tiny.model, 5)
    mesh = Mesh(data=2, fsdp=4, fsdp_from=1)
    experiment = dataclasses.replace(tiny, init_from=path, mesh=mesh)
    _, layout = abstract_state(experiment, make_mesh(mesh))
    state, _ = first_state(experiment, layout)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), known["params"])
    jax.tree.map(np.testing.assert_array_equal, state.ema, state.params)
    assert jax.tree.map(lambda x: x.sharding, state) == layout.state


def test_a_student_takes_over_the_token_alone(tiny, release):
    teacher = override(tiny, ["model.backbone.dim=48", "model.backbone.knowledge_token=48"]).model
    path, known = release(teacher, 2)
    student = override(tiny, ["model.backbone.knowledge_token=48", f"knowledge_from={path}"])
    variables = with_pretrained(student, fresh(student), weights)["params"]
    expected = fresh(student)["params"]
    token = known["params"]["backbone"]["knowledge_token"]
    np.testing.assert_array_equal(variables["backbone"]["knowledge_token"], token)
    expected["backbone"]["knowledge_token"] = token
    jax.tree.map(np.testing.assert_array_equal, variables, expected)


def test_a_token_of_another_width_is_refused(tiny, release):
    path, _ = release(override(tiny, ["model.backbone.knowledge_token=24"]).model, 3)
    student = override(tiny, ["model.backbone.knowledge_token=32", f"knowledge_from={path}"])
    with pytest.raises(InputError, match="knowledge_token=24"):
        with_pretrained(student, fresh(student), weights)


def test_a_file_without_a_token_is_refused(tiny, release):
    path, _ = release(tiny.model, 4)
    student = override(tiny, ["model.backbone.knowledge_token=32", f"knowledge_from={path}"])
    with pytest.raises(InputError, match="no knowledge token"):
        with_pretrained(student, fresh(student), weights)


def test_a_token_needs_a_model_that_has_one(tiny):
    with pytest.raises(InputError, match="knowledge_token"):
        dataclasses.replace(tiny, knowledge_from="somewhere")
