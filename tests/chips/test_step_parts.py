"""Parts of a training step by their scopes, against programs of each part alone."""

from pathlib import Path

import jax
import pytest

from jaxpose.chips import programs
from jaxpose.chips.account import costs
from jaxpose.chips.hlo_text import read_program
from jaxpose.chips.table import chip
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe
from jaxpose.train.step import PARTS, loss_and_gradients, step_keys, updated

LIFTER = str(Path(__file__).resolve().parents[1] / "tiny_lifter.py")


def account(lowered):
    return costs(read_program(lowered.compile().as_text()), chip("v5e"), model_flops=1.0)


@pytest.mark.slow
def test_parts_cost_what_they_cost_alone():
    experiment = load_recipe(LIFTER)
    mesh = make_mesh(Mesh(), jax.devices()[:1])
    state, batch, key = programs.abstract_arguments(experiment, mesh)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    whole = account(programs.lower(experiment, "train", mesh))

    def encode(key, step, batch):
        return experiment.task().encode(step_keys(key, step)[0], batch)

    def gradients(state, data, key):
        return loss_and_gradients(state, data, key, experiment, None)

    def update(state, loss, stats, found):
        return updated(state, loss, stats, found, experiment=experiment, tx=tx)

    data = jax.eval_shape(encode, key, state.step, batch)
    loss, _, stats, found = jax.eval_shape(gradients, state, data, key)
    alone = {
        "augmentation": account(jax.jit(encode).lower(key, state.step, batch)),
        "model": account(jax.jit(gradients).lower(state, data, key)),
        "optimizer": account(jax.jit(update).lower(state, loss, stats, found)),
    }
    assert set(PARTS) <= set(whole["parts"])
    for name, one in alone.items():
        part = whole["parts"][name]
        assert part["flops"] == one["flops"], name
        # In the whole step, results of one part need not be written for the next, where a fusion
        # spans both: augmentation alone writes its results, which are most of its bytes here.
        low = 0.75 if name != "augmentation" else 0.4
        assert low * one["bytes"] < part["bytes"] < 1.25 * one["bytes"], name
    assert whole["parts"]["other"]["bytes"] < 0.05 * whole["bytes"]
