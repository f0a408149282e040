"""HMR 2.0's and HaMeR's heads through the converter: the same outputs as the published code."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, noise, tensor

from jaxpose.convert.load import expected_leaves, recognise
from jaxpose.convert.rules import apply, nest
from jaxpose.models import MeshHead, hmr2
from jaxpose.models.build import PoseModel
from jaxpose.models.published.mesh import _head

CASES = {
    "hmr2_head": ("smpl_head", MeshHead(24), "body_pose"),
    "hamer_head": ("mano_head", MeshHead(16), "hand_pose"),
}


class Patches(nn.Module):
    """Backbone without parameters: the features are given."""

    input_hw: tuple[int, int] = (16, 12)

    def __call__(self, images, train=False):
        return jnp.tile(images[..., :1], (1, 1, 1, 1280))


def golden(shared, name):
    description = json.loads((shared / f"golden/{name}.json").read_text())
    with np.load(shared / f"golden/{name}.npz") as file:
        outputs = dict(file)
    weights = {k: tensor(k, tuple(s)) for k, s in description["state_dict"].items()}
    features = noise(description["input_shape"]).transpose(0, 2, 3, 1)
    return weights, features, outputs, description


def variables_of(weights, prefix, head):
    source, renamed = recognise({f"{prefix}.{k}": v for k, v in weights.items()})
    assert source.name == "4D-Humans or HaMeR"
    leaves = expected_leaves(PoseModel(Patches(), head))
    made = nest(apply([*source.rules, *_head(head)], renamed, leaves))
    return {"params": made["params"]["head"]}


def run(weights, prefix, head, features, outputs, pose):
    found = jax.jit(head.apply)(variables_of(weights, prefix, head), features)
    parts = {
        "global_orient": found.rotations[:, :1],
        pose: found.rotations[:, 1:],
        "betas": found.shape,
        "cam": found.camera,
    }
    return {key: distance(np.asarray(value), outputs[key]) for key, value in parts.items()}


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_published_codes(shared, name):
    prefix, head, pose = CASES[name]
    weights, features, outputs, description = golden(shared, name)
    away = run(weights, prefix, head, features, outputs, pose)
    assert max(away.values()) <= TOLERANCE, away
    count = sum(np.asarray(v).size for v in jax.tree.leaves(variables_of(weights, prefix, head)))
    # Less the dead embedding and the bias that is joined with the position; more the means.
    assert count == description["parameters"] - 2 * 1024 + sum(
        np.prod(description["state_dict"][k])
        for k in description["state_dict"]
        if k.startswith("init_")
    )


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(shared, place):
    prefix, head, pose = CASES["hmr2_head"]
    weights, features, outputs, _ = golden(shared, "hmr2_head")
    live = {k: v for k, v in weights.items() if "to_token_embedding.weight" not in k}
    layer, broken = with_fault(live, place)
    away = run({**weights, **broken}, prefix, head, features, outputs, pose)
    assert max(away.values()) > TOLERANCE, layer


def test_an_untrained_head_returns_the_mean_and_has_gradients():
    head = MeshHead(24, depth=1, width=16, heads=2, head_dim=8, mlp_hidden=8)
    features = jax.random.normal(jax.random.key(0), (2, 4, 3, 8))
    variables = jax.jit(head.init)(jax.random.key(1), features)

    def loss(variables):
        outputs = head.apply(variables, features)
        weights = jnp.arange(9.0).reshape(1, 1, 3, 3)
        return (
            jnp.sum(outputs.rotations * weights) + jnp.sum(outputs.shape + 1) + outputs.camera.sum()
        )

    outputs, slopes = jax.jit(lambda v: (head.apply(v, features), jax.grad(loss)(v)))(variables)
    np.testing.assert_allclose(
        outputs.rotations, np.broadcast_to(np.eye(3), (2, 24, 3, 3)), atol=0.1
    )
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        name = jax.tree_util.keystr(path)
        # One token attends to itself with weight 1, whatever its query and key are.
        assert np.any(slope != 0) != ("mean" in name), name


def test_the_whole_model_has_the_published_keys():
    model = hmr2("S")
    source, _ = recognise({"smpl_head.decpose.weight": np.zeros((144, 1024))})
    assert {type(model.backbone), type(model.head)} <= set(source.tables)
