"""Lifters through the converter: the same outputs as MMPose 1.3.2."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import count_parameters
from jaxpose.models.published.lifting import LIFTERS

TESTED = {name: lifter for lifter in LIFTERS for name in lifter.golden}


@cache
def forward(name):
    """Compiled: variables and keypoints in MMPose's layout -> features and joints."""
    model = TESTED[name].make()

    @jax.jit
    def run(variables, keypoints):
        features = model.apply(variables, keypoints, method=lambda m, x: m.backbone(x))
        return features, model.apply(variables, keypoints)

    def call(variables, keypoints):
        if keypoints.ndim == 3:  # MMPose flattens keypoints to channels: [B, K * D, T]
            keypoints = keypoints.transpose(0, 2, 1)
        return map(np.asarray, run(variables, keypoints.reshape(model.input_shape())))

    return call


@pytest.mark.parametrize("name", TESTED)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), TESTED[name].make())
    assert count_parameters(variables) == golden.description["parameters"]
    features, output = forward(name)(variables, golden.images)
    summary = golden.description["backbone_features"][-1]
    first = features.reshape(-1)[: len(summary["first"])]
    assert np.abs(first - summary["first"]).max() / summary["std"] <= TOLERANCE
    assert abs(features.std(ddof=1) / summary["std"] - 1) <= TOLERANCE
    (expected,) = golden.outputs.values()
    # MMPose's heads for one frame drop the axis of frames.
    assert distance(output.reshape(expected.shape), expected) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TESTED)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    variables = convert.to_variables(broken, TESTED[name].make())
    _, output = forward(name)(variables, golden.images)
    (expected,) = golden.outputs.values()
    assert distance(output.reshape(expected.shape), expected) > TOLERANCE, layer
