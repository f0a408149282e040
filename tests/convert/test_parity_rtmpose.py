"""RTMPose through the converter: the same outputs as MMPose 1.3.2."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models.build import count_parameters
from jaxpose.models.published.rtmpose import rtmpose

MODELS = {
    "rtmpose_s_256x192_calibrated": rtmpose("s"),
    "rtmpose_m_hand5_256x256": rtmpose("m", 21, (256, 256)),
    "rtmpose_m_face106_256x256": rtmpose("m", 106, (256, 256)),
}


@cache
def forward(name):
    """Compiled: variables and images -> logits for x and y, features."""
    model = MODELS[name]

    @jax.jit
    def run(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return *output, state["intermediates"]["backbone"]["__call__"][0]

    return lambda *arguments: map(np.asarray, run(*arguments))


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), MODELS[name])
    assert count_parameters(variables) == golden.description["parameters"]
    x, y, features = forward(name)(variables, golden.images)
    summary = golden.description["features"]["backbone"]
    assert feature_distance(features.transpose(0, 3, 1, 2), summary) <= TOLERANCE
    assert distance(x, golden.outputs["output.0"]) <= TOLERANCE
    assert distance(y, golden.outputs["output.1"]) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    x, y, _ = forward(name)(convert.to_variables(broken, MODELS[name]), golden.images)
    distances = distance(x, golden.outputs["output.0"]), distance(y, golden.outputs["output.1"])
    assert max(distances) > TOLERANCE, layer
