"""Models for many people in the task: parts fit, a step has its shapes, and one kind learns."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxpose.codecs import AssociativeEmbedding, Displacements, InstanceHeatmaps
from jaxpose.codecs.part_affinity import fields_of
from jaxpose.config import from_json, to_json
from jaxpose.data.source import SyntheticScenes
from jaxpose.losses import (
    AssociativeEmbeddingLoss,
    DisplacementLoss,
    InstanceHeatmapLoss,
    PartAffinityLoss,
    StageSum,
)
from jaxpose.models.build import PoseModel
from jaxpose.models.cid import CIDHead, CIDModel
from jaxpose.models.dekr import DEKRHead
from jaxpose.models.higher_hrnet import HigherHRNetHead
from jaxpose.models.openpose import DenseOpenPoseHead, OpenPoseHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import AdamW
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

SIZE = (64, 64)
FIELDS = fields_of(COCO17, SIZE, max_people=3, candidates=4)
LIMBS = len(FIELDS.limbs)


def pyramid(patch):
    return Pyramid(patch=patch, widths=(16, 32), depths=(1, 1), path_width=16)


CASES = {
    "OpenPose": (
        PoseModel(pyramid(8), OpenPoseHead(17, LIMBS, stages=2, background=True)),
        FIELDS,
        StageSum(PartAffinityLoss(LIMBS)),
    ),
    "BODY_25's stages": (
        PoseModel(pyramid(8), DenseOpenPoseHead(17, LIMBS, field_stages=2, map_stages=1)),
        FIELDS,
        StageSum(PartAffinityLoss(LIMBS)),
    ),
    "HigherHRNet": (
        PoseModel(pyramid(4), HigherHRNetHead(17, blocks=1)),
        AssociativeEmbedding(SIZE, higher=True, enlargement=1, max_people=3, candidates=4),
        AssociativeEmbeddingLoss(),
    ),
    "DEKR": (
        PoseModel(pyramid(4), DEKRHead(17)),
        Displacements(SIZE, max_people=3),
        DisplacementLoss(),
    ),
    "CID": (
        CIDModel(pyramid(4), CIDHead(17, max_people=3)),
        InstanceHeatmaps(SIZE, max_people=3),
        InstanceHeatmapLoss(),
    ),
}


def experiment(name):
    model, codec, loss = CASES[name]
    data = SyntheticScenes(4, 0, SIZE, people=2)
    return BottomUpExperiment(
        skeleton=COCO17,
        model=model,
        codec=codec,
        loss=loss,
        train_data=data,
        eval_data=data,
        augmentation=ImageAugmentation(),
        evaluation=Evaluation(every=10),
        optimizer=AdamW(learning_rate=1e-3, schedule="constant"),
        steps=20,
        batch_size=4,
    )


@pytest.mark.parametrize("name", CASES)
def test_the_parts_fit_and_a_step_keeps_its_shapes(name):
    recipe = experiment(name)
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
@pytest.mark.parametrize("name", ["OpenPose", "HigherHRNet"])
def test_the_loss_of_one_batch_falls(name):
    recipe = replace(experiment(name), optimizer=AdamW(learning_rate=3e-3, schedule="constant"))
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
