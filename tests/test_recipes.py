"""Every shipped recipe takes one training step, shrunken to a size that compiles in seconds."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxpose.config import config_fields, from_json, load_recipe, override, to_json
from jaxpose.models.build import init_variables
from jaxpose.train.optimizer import build
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

RECIPES = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))
# What makes a backbone small, where it has such a field.
SMALL = {
    "dim": 32,
    "depth": 2,
    "heads": 2,
    "channels": (8, 16, 32, 64),
    "modules": (1, 1, 1),
    "blocks": 1,
    "stage1_channels": 8,
    "stage1_blocks": 1,
}


def shrunken(experiment):
    """The same recipe with a small backbone and a batch of two."""
    names = {field.name for field in config_fields(experiment.model.backbone)}
    changes = [f"model.backbone.{k}={v}" for k, v in SMALL.items() if k in names]
    return override(experiment, [*changes, "batch_size=2"])


def random_batch(experiment, rng):
    height, width = (round(1.5 * side) for side in experiment.codec.input_hw)
    number = experiment.skeleton.num_keypoints
    size = np.asarray([width, height], np.float32)
    return {
        "image": rng.integers(0, 256, (2, height, width, 3), np.uint8),
        "keypoints": (rng.uniform(0.25, 0.75, (2, number, 2)) * size).astype(np.float32),
        "visible": np.full((2, number), 2, np.uint8),
        "box_xywh": np.tile(np.concatenate([size / 4, size / 2])[None], (2, 1)),
        "mask": np.ones(2, bool),
    }


def test_there_are_recipes():
    assert {"quickstart", "coco_vitpose_b", "coco_hrnet_w32", "lsp"} <= {r.stem for r in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_recipe_takes_a_step(recipe):
    experiment = load_recipe(str(recipe))
    assert from_json(to_json(experiment)) == experiment
    experiment = shrunken(experiment)
    tx = build(experiment.optimizer, experiment.steps)
    variables = init_variables(experiment.model, jax.random.key(0), experiment.codec.input_hw)
    state = new_state(experiment, variables, tx)
    before = jax.device_get(state.params)
    batch = random_batch(experiment, np.random.default_rng(0))
    step = jax.jit(lambda s, b, k: train_step(s, b, k, experiment=experiment, tx=tx))
    state, scalars = step(state, batch, jax.random.key(1))
    assert int(state.step) == 1
    assert np.isfinite(scalars["loss"]) and scalars["loss"] > 0
    assert scalars["gradient_norm"] > 0
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, jax.device_get(state.params))
    assert all(jax.tree.leaves(moved["head"]))
