"""Hourglass-52 through the converter: the same outputs as MMPose 1.3.2."""

import jax
import numpy as np
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, hourglass


def test_outputs_equal_mmposes(shared, tmp_path):
    golden = load(shared, "hourglass52_256x256")
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    model = hourglass("52")
    variables = convert.to_variables(convert.load_state_dict(path), model)
    # A single stack of MMPose's has a block between stacks which it does not run.
    unused = sum(
        array.size
        for key, array in golden.state_dict.items()
        if key.startswith("backbone.inters.") and key.endswith(("weight", "bias"))
    )
    assert count_parameters(variables) == golden.description["parameters"] - unused

    @jax.jit
    def forward(variables, images):
        (features,) = model.backbone.apply(part(variables, "backbone"), images)
        return model.head.apply(part(variables, "head"), (features,)), features

    output, features = (
        np.asarray(a).transpose(0, 3, 1, 2) for a in forward(variables, golden.images)
    )
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output.0"]) <= TOLERANCE


def test_a_second_stack_is_found_under_mmposes_names(shared):
    state_dict = {
        key: np.broadcast_to(np.float32(0), array.shape)
        for key, array in load(shared, "hourglass52_256x256").state_dict.items()
    }
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


def part(variables, name):
    return {kind: tree[name] for kind, tree in variables.items() if name in tree}
