"""Lifters through the converter: the same outputs as MMPose 1.3.2."""

import jax
import numpy as np
import pytest
from reference import TOLERANCE, distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import count_parameters
from jaxpose.models.published.catalogue import LIFTERS

TESTED = {name: lifter for lifter in LIFTERS for name in lifter.golden}


@pytest.mark.parametrize("name", TESTED)
def test_outputs_equal_mmposes(name, shared, tmp_path):
    golden = load(shared, name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    model = TESTED[name].make()
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden.description["parameters"]

    keypoints = golden.images
    if keypoints.ndim == 3:  # MMPose flattens keypoints to channels: [B, K * D, T]
        keypoints = keypoints.transpose(0, 2, 1)
    keypoints = keypoints.reshape(model.input_shape())

    @jax.jit
    def forward(variables, keypoints):
        features = model.apply(variables, keypoints, method=lambda m, x: m.backbone(x))
        return features, model.apply(variables, keypoints)

    features, output = (np.asarray(a) for a in forward(variables, keypoints))
    summary = golden.description["backbone_features"][-1]
    first = features.reshape(-1)[: len(summary["first"])]
    assert np.abs(first - summary["first"]).max() / summary["std"] <= TOLERANCE
    assert abs(features.std(ddof=1) / summary["std"] - 1) <= TOLERANCE
    (expected,) = golden.outputs.values()
    # MMPose's heads for one frame drop the axis of frames.
    assert distance(output.reshape(expected.shape), expected) <= TOLERANCE
