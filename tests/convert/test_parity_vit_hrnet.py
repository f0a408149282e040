"""ViTPose, HRNet and Lite-HRNet through the converter: the same outputs as MMPose 1.3.2."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, hrnet_pose, litehrnet, vitpose

MODELS = {
    "vitpose_s_256x192": lambda: vitpose("S"),
    "vitpose_b_simple_256x192": lambda: vitpose("B", head="simple"),
    "hrnet_w32_256x192": lambda: hrnet_pose("W32"),
    "litehrnet18_256x192": lambda: litehrnet("18"),
}


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, shared, tmp_path):
    golden = load(shared, name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    model = MODELS[name]()
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden.description["parameters"]

    @jax.jit
    def forward(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return output, state["intermediates"]["backbone"]["__call__"][0]

    output, features = (
        np.asarray(a).transpose(0, 3, 1, 2) for a in forward(variables, golden.images)
    )
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


def test_vitpose_huge_has_the_published_shapes(shared):
    golden = json.loads((shared / "golden" / "vitpose_h_256x192.json").read_text())
    variables = abstract_variables(vitpose("H"), (256, 192))
    assert count_parameters(variables) == golden["parameters"]
    depth = jax.tree.leaves(variables["params"]["backbone"]["blocks"])[0].shape[0]
    assert depth == 1 + max(
        int(key.split(".")[2]) for key in golden["state_dict"] if ".layers." in key
    )
    images = jax.ShapeDtypeStruct((1, 256, 192, 3), jnp.float32)
    output = jax.eval_shape(vitpose("H").apply, variables, images)
    assert output.shape == (1, 64, 48, 17)
