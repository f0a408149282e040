"""Hourglass-52 through the converter: the same outputs as MMPose 1.3.2."""

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, empty_state_dict, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, hourglass

NAME = "hourglass52_256x256"
MODEL = hourglass("52")
# A single stack of MMPose's has a block between stacks which it does not run.
UNUSED = "backbone.inters."


def part(variables, name):
    return {kind: tree[name] for kind, tree in variables.items() if name in tree}


@jax.jit
def forward(variables, images):
    (features,) = MODEL.backbone.apply(part(variables, "backbone"), images)
    return MODEL.head.apply(part(variables, "head"), (features,)), features


def from_nhwc(array):
    return np.asarray(array).transpose(0, 3, 1, 2)


@pytest.mark.slow
def test_outputs_equal_mmposes(tmp_path):
    golden = load(NAME)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), MODEL)
    unused = sum(
        array.size
        for key, array in golden.state_dict.items()
        if key.startswith(UNUSED) and key.endswith(("weight", "bias"))
    )
    assert count_parameters(variables) == golden.description["parameters"] - unused

    output, features = map(from_nhwc, forward(variables, golden.images))
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output.0"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    golden = load(NAME)
    layer, broken = with_fault(golden.state_dict, place, UNUSED)
    output, _ = map(from_nhwc, forward(convert.to_variables(broken, MODEL), golden.images))
    assert distance(output, golden.outputs["output.0"]) > TOLERANCE, layer


def test_a_second_stack_is_found_under_mmposes_names():
    state_dict = empty_state_dict(NAME)
    for key, array in list(state_dict.items()):
        for part_of_a_stack in ("hourglass_modules.0.", "out_convs.0.", "multi_final_layers.0."):
            if part_of_a_stack in key:
                again = part_of_a_stack.replace("0", "1")
                state_dict[key.replace(part_of_a_stack, again)] = array
    for name in ("conv1x1s", "remap_convs"):
        state_dict[f"backbone.{name}.0.conv.weight"] = np.zeros((256, 256, 1, 1), np.float32)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state_dict[f"backbone.{name}.0.bn.{leaf}"] = np.zeros(256, np.float32)

    variables = convert.to_variables(state_dict, hourglass("104"))
    expected = abstract_variables(hourglass("104"), (256, 256))
    assert count_parameters(variables) == count_parameters(expected)
