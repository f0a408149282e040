"""The step: masks, averages, devices, and that it learns."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.augment import Augmentation
from jaxpose.codecs.heatmap import udp
from jaxpose.config import Mesh, load_recipe, override
from jaxpose.errors import InputError
from jaxpose.models import PoseModel, hrnet_pose, init_variables
from jaxpose.models.heads import SimpleHead
from jaxpose.train import mesh as meshes
from jaxpose.train.feed import to_device
from jaxpose.train.optimizer import build
from jaxpose.train.state import new_state
from jaxpose.train.step import compile_step

TINY = Path(__file__).resolve().parents[1] / "tiny.py"


@pytest.fixture(scope="module")
def tiny():
    return override(load_recipe(str(TINY)), ["steps=100", "optimizer.schedule=cosine"])


def run(experiment, devices: int, steps: int, change_batch=lambda batch: batch):
    """State and losses after `steps` steps on the first `devices` fake devices."""
    mesh = meshes.make_mesh(Mesh(), jax.devices()[:devices])
    source = experiment.train_data.open()
    batch = change_batch(source.samples(np.arange(experiment.batch_size)))
    variables = init_variables(experiment.model, jax.random.key(0), experiment.codec.input_hw)
    tx = build(experiment.optimizer, experiment.steps)
    state = jax.device_put(new_state(experiment, variables, tx), meshes.replicated(mesh))
    key = jax.device_put(jax.random.key(0), meshes.replicated(mesh))
    batch = to_device(batch, mesh)
    step = compile_step(experiment, state, batch, key)
    losses = []
    for _ in range(steps):
        state, scalars = step(state, batch, key)
        losses.append(float(scalars["loss"]))
    return jax.device_get(state), losses


def test_the_loss_falls_by_half(tiny):
    still = Augmentation(flip=0, rotation_probability=0, scale=0, shift_probability=0, half_body=0)
    experiment = dataclasses.replace(tiny, augmentation=still)
    experiment = override(experiment, ["optimizer.learning_rate=5e-3"])
    _, losses = run(experiment, 1, 60)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_padding_weighs_nothing(tiny):
    # A head without batch statistics, which would see the padding.
    model = PoseModel(tiny.model.backbone.clone(drop_path=0.0), SimpleHead(17))
    experiment = dataclasses.replace(tiny, model=model)

    def pad_with(value):
        def change(batch):
            batch["mask"][6:] = False
            batch["image"][6:] = value
            return batch

        return change

    black, losses = run(experiment, 1, 2, pad_with(0))
    white, same = run(experiment, 1, 2, pad_with(255))
    assert losses == same
    jax.tree.map(np.testing.assert_array_equal, black.params, white.params)


def test_the_average_follows_the_parameters(tiny):
    start = init_variables(tiny.model, jax.random.key(0), tiny.codec.input_hw)["params"]
    state, _ = run(tiny, 1, 1)
    # After step 0 the memory is (1 + 0) / (10 + 0).
    expected = jax.tree.map(lambda s, p: 0.1 * s + 0.9 * p, jax.device_get(start), state.params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), expected, state.ema
    )


@pytest.mark.parametrize("kind", ["vit", "hrnet"])
def test_eight_devices_give_what_one_gives(tiny, kind):
    experiment = tiny
    if kind == "hrnet":
        model = hrnet_pose("W18-small")
        small = model.backbone.clone(
            channels=(4, 8), modules=(1,), blocks=1, stage1_channels=4, stage1_blocks=1
        )
        experiment = dataclasses.replace(
            tiny,
            model=model.clone(backbone=small),
            codec=udp(input_hw=(64, 64), heatmap_hw=(16, 16), sigma=1.0),
        )
    one, losses = run(experiment, 1, 2)
    eight, also = run(experiment, 8, 2)
    np.testing.assert_allclose(losses, also, rtol=1e-5)
    # BatchNorm's statistics are of the whole batch on either mesh.
    for a, b in zip(
        jax.tree.leaves(one.batch_stats), jax.tree.leaves(eight.batch_stats), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_same_seed_same_bits(tiny):
    first, _ = run(tiny, 2, 2)
    second, _ = run(tiny, 2, 2)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_bfloat16_compute_keeps_float32_parameters(tiny):
    experiment = override(tiny, ["model.backbone.dtype=bfloat16", "model.head.dtype=bfloat16"])
    state, losses = run(experiment, 1, 3)
    assert np.isfinite(losses).all()
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))


def test_mesh_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit 8 device"):
        meshes.make_mesh(Mesh(data=3))
    mesh = meshes.make_mesh(Mesh(fsdp=2))
    assert dict(mesh.shape) == {"data": 4, "fsdp": 2, "tensor": 1}
    with pytest.raises(InputError, match="use 8 or 16"):
        meshes.check_batch(12, mesh, "batch_size")
