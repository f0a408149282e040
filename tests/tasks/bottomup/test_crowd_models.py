"""Models for many people in the task: parts fit, a step has its shapes, and one kind learns."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny_crowd import EXPERIMENTS, SIZE, experiment, pyramid

from jaxpose.codecs.part_affinity import fields_of
from jaxpose.config import from_json, to_json
from jaxpose.losses import PartAffinityLoss, StageSum
from jaxpose.models.build import PoseModel
from jaxpose.models.openpose import DenseOpenPoseHead
from jaxpose.skeletons import COCO17
from jaxpose.train.optimizers import AdamW
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step


def body25():
    """OpenPose's later network, which finds fields first."""
    fields = fields_of(COCO17, SIZE, max_people=3, candidates=4)
    limbs = len(fields.limbs)
    head = DenseOpenPoseHead(17, limbs, field_stages=2, map_stages=1)
    return experiment(PoseModel(pyramid(8), head), fields, StageSum(PartAffinityLoss(limbs)))


CASES = {name: EXPERIMENTS[name] for name in ("paf", "higher_hrnet", "dekr", "cid")}
CASES["body25"] = body25


@pytest.mark.parametrize("name", CASES)
def test_the_parts_fit_and_a_step_keeps_its_shapes(name):
    recipe = CASES[name]()
    assert from_json(to_json(recipe)) == recipe
    task = recipe.task()
    task.check()
    variables = jax.eval_shape(
        lambda key: recipe.model.init(key, np.zeros((1, *SIZE, 3), np.float32)), jax.random.key(0)
    )
    variables = {"batch_stats": {}, **variables}
    tx = recipe.optimizer.build(recipe.steps, recipe.model)
    state = jax.eval_shape(lambda v: new_state(recipe, v, tx), variables)
    batch = recipe.train_data.open().samples(range(4))
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, scalars = jax.eval_shape(
        lambda s, b, k: train_step(s, b, k, experiment=recipe, tx=tx), state, batch, key
    )
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
    assert scalars["loss"].shape == ()
    assert any(key.startswith("loss/") for key in scalars)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paf", "higher_hrnet"])
def test_the_loss_of_one_batch_falls(name):
    recipe = replace(CASES[name](), optimizer=AdamW(learning_rate=3e-3, schedule="constant"))
    recipe = recipe.task().without_augmentation()
    variables = jax.jit(recipe.model.init)(jax.random.key(0), np.zeros((1, *SIZE, 3), np.float32))
    variables = {"batch_stats": {}, **variables}
    tx = recipe.optimizer.build(recipe.steps, recipe.model)
    state = new_state(recipe, variables, tx)
    batch = recipe.train_data.open().samples(range(4))
    step = jax.jit(lambda s, b, k: train_step(s, b, k, experiment=recipe, tx=tx))
    losses = []
    for _ in range(30):
        state, scalars = step(state, batch, jax.random.key(1))
        losses.append(float(scalars["loss"]))
    assert np.isfinite(losses).all() and losses[-1] < 0.9 * losses[0]
