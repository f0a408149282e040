"""ViTPose, HRNet and Lite-HRNet through the converter: the same outputs as MMPose 1.3.2."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, describe, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, hrnet_pose, litehrnet, vitpose

MODELS = {
    "vitpose_s_256x192": vitpose("S"),
    "vitpose_b_simple_256x192": vitpose("B", head="simple"),
    "hrnet_w32_256x192": hrnet_pose("W32"),
    "litehrnet18_256x192": litehrnet("18"),
}


@cache
def forward(name):
    """Compiled: variables and images -> heatmaps and features, in MMPose's layout."""
    model = MODELS[name]

    @jax.jit
    def run(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return output, state["intermediates"]["backbone"]["__call__"][0]

    return lambda *arguments: [np.asarray(a).transpose(0, 3, 1, 2) for a in run(*arguments)]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if "litehrnet" in n else ()) for n in MODELS],
)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), MODELS[name])
    assert count_parameters(variables) == golden.description["parameters"]
    output, features = forward(name)(variables, golden.images)
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    output, _ = forward(name)(convert.to_variables(broken, MODELS[name]), golden.images)
    assert distance(output, golden.outputs["output"]) > TOLERANCE, layer


def test_vitpose_huge_has_the_published_shapes():
    golden = describe("vitpose_h_256x192")
    variables = abstract_variables(vitpose("H"), (256, 192))
    assert count_parameters(variables) == golden["parameters"]
    depth = jax.tree.leaves(variables["params"]["backbone"]["blocks"])[0].shape[0]
    assert depth == 1 + max(
        int(key.split(".")[2]) for key in golden["state_dict"] if ".layers." in key
    )
    images = jax.ShapeDtypeStruct((1, 256, 192, 3), jnp.float32)
    output = jax.eval_shape(vitpose("H").apply, variables, images)
    assert output.shape == (1, 64, 48, 17)
