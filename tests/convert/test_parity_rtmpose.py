"""RTMPose through the converter: the same outputs as MMPose 1.3.2."""

import jax
import numpy as np
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models.build import count_parameters
from jaxpose.models.published.rtmpose import rtmpose


def test_outputs_equal_mmposes(shared, tmp_path):
    golden = load(shared, "rtmpose_s_256x192")
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    model = rtmpose("s")
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden.description["parameters"] == 5_473_251

    @jax.jit
    def forward(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return output, state["intermediates"]["backbone"]["__call__"][0]

    (x, y), features = forward(variables, golden.images)
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(np.asarray(features).transpose(0, 3, 1, 2), summary) <= TOLERANCE
    assert distance(np.asarray(x), golden.outputs["output.0"]) <= TOLERANCE
    assert distance(np.asarray(y), golden.outputs["output.1"]) <= TOLERANCE
