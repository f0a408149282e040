"""Learning rates that hold for every width: factors by hand, and the check of coordinates."""

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.heads import DeconvHead
from jaxpose.models.resnet import ResNet
from jaxpose.models.vit import ViT
from jaxpose.train.optimizers import SGD, AdamW
from jaxpose.train.width_transfer import growths

IMAGES = jax.random.normal(jax.random.key(0), (4, 32, 32, 3))
TARGETS = jax.random.normal(jax.random.key(1), (4, 4, 4, 5))


def vit_pose(dim, **options):
    vit = ViT(input_hw=(32, 32), dim=dim, depth=1, heads=dim // 16, patch=8, patch_padding=0)
    return PoseModel(vit.clone(**options), DeconvHead(5, deconv_channels=()))


def initial(model):
    return jax.jit(lambda key: init_variables(model, key, (32, 32)))(jax.random.key(2))["params"]


def adam(base_width, **options):
    options = {"schedule": "constant", "warmup_steps": 0, "weight_decay": 0.0} | options
    return AdamW(learning_rate=3e-3, base_width=base_width, clip_norm=None, **options)


def change_of_outputs(dim, base_width, steps=3):
    """Mean change of the outputs within a few steps."""
    model, optimizer = vit_pose(dim), adam(base_width)
    tx = optimizer.build(steps, model)
    params = optimizer.start(initial(model), model)

    @jax.jit
    def outputs(params):
        return model.apply({"params": params}, IMAGES)

    @jax.jit
    def step(params, state):
        gradients = jax.grad(lambda p: jnp.square(outputs(p) - TARGETS).mean())(params)
        updates, state = tx.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    state, first = tx.init(params), params
    for _ in range(steps):
        params, state = step(params, state)
    return float(jnp.abs(outputs(params) - outputs(first)).mean())


@pytest.mark.slow  # the factors are tested by hand below
def test_outputs_change_by_the_same_amount_at_every_width():
    # The check of coordinates of arXiv:2203.03466, appendix D.1.
    narrow = change_of_outputs(32, 32)
    assert change_of_outputs(128, 32) == pytest.approx(narrow, rel=0.15)
    assert change_of_outputs(128, None) > 3 * narrow


def test_the_matrices_whose_inputs_grow_are_found_from_shapes():
    found = growths(vit_pose(64), 16)
    names = {name.removeprefix("backbone/").removesuffix("/kernel") for name in found}
    blocks = {f"blocks/{part}" for part in ("attention/qkv", "attention/out", "fc1", "fc2")}
    assert {name.replace("mlp/", "") for name in names} == blocks | {"head/final"}
    assert {growth.inputs for growth in found.values()} == {4.0}
    assert found["head/final/kernel"].outputs == 1.0  # keypoints do not grow
    fixed = growths(vit_pose(64, mlp_hidden=96), 16)
    assert not any("fc2" in name for name in fixed)  # its 96 inputs stay


def test_rates_and_initial_values_shrink_and_weight_decay_does_not():
    model = vit_pose(64)  # four times the base width
    kernels = {"backbone": {"blocks": {"mlp": {"fc2": {"kernel": jnp.ones((1, 256, 64))}}}}}
    params = kernels | {"head": {"final": {"kernel": jnp.ones((1, 1, 64, 5)), "bias": jnp.ones(5)}}}
    start = adam(16).start(params, model)
    assert start["backbone"]["blocks"]["mlp"]["fc2"]["kernel"][0, 0, 0] == 0.5  # 1 / root of 4
    assert start["head"]["final"]["kernel"][0, 0, 0, 0] == 0.25
    assert start["head"]["final"]["bias"][0] == 1.0
    assert adam(None).start(params, model) is params

    tx = adam(16, weight_decay=0.1).build(1, model)
    moved, _ = tx.update(params, tx.init(params), params)
    final = moved["head"]["final"]
    assert final["kernel"][0, 0, 0, 0] == pytest.approx(-3e-3 * (1 / 4 + 0.1), rel=1e-4)
    assert final["bias"][0] == pytest.approx(-3e-3, rel=1e-4)


def test_what_has_no_width_is_refused():
    with pytest.raises(InputError, match="of a ViT"):
        growths(PoseModel(ResNet(18), DeconvHead(5)), 16)
    with pytest.raises(InputError, match="multiple of the heads' dimension 16"):
        growths(vit_pose(64), 24)
    with pytest.raises(InputError, match="SGD needs other factors"):
        SGD(base_width=16)
