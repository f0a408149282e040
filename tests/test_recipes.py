"""Every shipped recipe loads, fits together and can take a step; one takes one, shrunken."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import codecs, losses, models
from jaxpose.config import config_fields, from_json, override, to_json
from jaxpose.models.build import abstract_variables
from jaxpose.models.distillation import DistillationModel
from jaxpose.models.feature_pyramid import FixedStatistics
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.parameter_groups import frozen_mask
from jaxpose.train.recipe import load_recipe
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

RECIPES = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))
# Deep networks, traced with the slow tests; other recipes have their codecs and losses too.
DEEP = (
    *("coco_hourglass52", "coco_litehrnet18", "mpii_hrnet_w32", "small_pose_tuned"),
    *("wholebody_dwpose_s", "wholebody_dwpose_s_second", "interhand_internet_r50"),
)
# It compiles in seconds; `train/test_families.py` trains every kind of model.
STEPPED = ("coco_vitpose_b",)
PARTS = "student", "teacher"
# What makes a backbone small, where it has such a field; of a tuple, every entry.
SMALL = {
    "dim": 32,
    "depth": 2,
    "depths": 1,
    "heads": 2,
    "width": 16,
    "deepen": 0.1,
    "widen": 0.25,
    "modules": 1,
    "blocks": 1,
    "stage1_blocks": 1,
}


def shrunken(experiment):
    """The same recipe with small backbones and a batch of two."""
    changes = ["batch_size=2"]
    if isinstance(experiment.model, DistillationModel):
        places = {f"{part}.backbone": getattr(experiment.model, part).backbone for part in PARTS}
    else:
        places = {"backbone": experiment.model.backbone}
    for place, backbone in places.items():
        if isinstance(backbone, FixedStatistics):
            place, backbone = f"{place}.trunk", backbone.trunk
        for name in {field.name for field in config_fields(backbone)} & set(SMALL):
            value, old = SMALL[name], getattr(backbone, name)
            value = (value,) * len(old) if isinstance(old, tuple) else value
            changes.append(f"model.{place}.{name}={value}")
    return override(experiment, changes)


def random_batch(experiment, rng):
    size, number = experiment.batch_size, experiment.skeleton.num_keypoints
    height, width = (round(1.5 * side) for side in experiment.codec.input_hw)
    wh = np.asarray([width, height], np.float32)
    return {
        "image": rng.integers(0, 256, (size, height, width, 3), np.uint8),
        "keypoints": (rng.uniform(0.25, 0.75, (size, number, 2)) * wh).astype(np.float32),
        "visible": np.full((size, number), 2, np.uint8),
        "box_xywh": np.tile(np.concatenate([wh / 4, wh / 2])[None], (size, 1)),
        "mask": np.ones(size, bool),
        "object_mask": np.full((size, height, width), 255, np.uint8),
    }


def drawn_variables(experiment, rng):
    """Drawn by NumPy: a compiled initialisation takes as long as the step."""

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):
            return np.ones(leaf.shape, leaf.dtype)
        return rng.normal(0, 0.05, leaf.shape).astype(leaf.dtype)

    variables = abstract_variables(experiment.model, experiment.codec.input_hw)
    return jax.tree_util.tree_map_with_path(draw, variables)


def step_of(experiment, tx):
    return lambda state, batch, key: train_step(state, batch, key, experiment=experiment, tx=tx)


def test_there_are_recipes():
    assert {"quickstart", "coco_vitpose_b", "coco_hrnet_w32", "lsp"} <= {r.stem for r in RECIPES}


def strings(node):
    """Every string of a configuration, with its path."""
    if dataclasses.is_dataclass(node):
        node = {field.name: getattr(node, field.name) for field in config_fields(node)}
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        for key, value in node.items():
            yield from ((f"{key}.{path}".rstrip("."), text) for path, text in strings(value))
    elif isinstance(node, str):
        yield "", node


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_recipe_holds_its_model_and_names_none(recipe):
    """One hop from a recipe to its model: the object itself, not a word that is looked up."""
    experiment = load_recipe(str(recipe))
    assert isinstance(experiment.model, nn.Module)
    classes = {
        name
        for room in (models, codecs, losses)
        for name, value in vars(room).items()
        if isinstance(value, type)
    }
    assert len(classes) > 30
    # A figure may have the name of a loss: `best` picks a checkpoint.
    named = [path for path, text in strings(experiment) if text in classes]
    assert [path for path in named if not path.endswith("best")] == []


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in DEEP else ())
        for path in RECIPES
    ],
)
def test_recipe_fits_together(recipe):
    experiment = load_recipe(str(recipe))
    assert from_json(to_json(experiment)) == experiment
    # Several branches take ten seconds to trace; their step, below, fails on what does not fit.
    if not hasattr(getattr(experiment.model, "backbone", None), "modules"):
        experiment.task().check()
    if not isinstance(experiment, TopDownExperiment):
        return  # its batches are made from its files
    experiment = shrunken(experiment)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    variables = abstract_variables(experiment.model, experiment.codec.input_hw)
    state = jax.eval_shape(lambda v: new_state(experiment, v, tx), variables)
    batch = jax.eval_shape(lambda: random_batch(experiment, np.random.default_rng(0)))
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, scalars = jax.eval_shape(step_of(experiment, tx), state, batch, key)
    assert jax.tree.map(shape_and_type, after) == jax.tree.map(shape_and_type, state)
    assert shape_and_type(scalars["loss"]) == ((), jnp.float32)


def shape_and_type(array):
    return array.shape, array.dtype


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPPED)
def test_recipe_takes_a_step(name):
    experiment = shrunken(load_recipe(name))
    rng = np.random.default_rng(0)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    state = new_state(experiment, drawn_variables(experiment, rng), tx)
    step = jax.jit(step_of(experiment, tx), compiler_options={"xla_backend_optimization_level": 0})
    after, scalars = step(state, random_batch(experiment, rng), jax.random.key(1))
    assert int(after.step) == 1
    assert np.isfinite(scalars["loss"]) and scalars["loss"] > 0
    assert scalars["gradient_norm"] > 0
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, after.params)
    frozen = frozen_mask(state.params, experiment.optimizer.frozen)
    for parts in zip(*map(jax.tree.leaves, (moved["head"], frozen["head"])), strict=True):
        assert parts[0] != parts[1]
