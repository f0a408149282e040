"""InterNet through the converter: the same outputs as MMPose 1.3.2."""

from functools import cache

import jax
import pytest
from broken import with_fault
from reference import TOLERANCE, distance, empty_state_dict, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE
from jaxpose.models.published.internet import internet

NAME = "internet_r50_256x256"


@cache
def forward():
    model = internet()
    run = jax.jit(model.apply)
    return lambda *arguments: jax.device_get(run(*arguments))


def distances(outputs, golden):
    """Of the volumes and of the hands, and the relative error of the depth between the wrists."""
    volumes = outputs.heatmaps.transpose(0, 3, 4, 1, 2)[:, :, ::8, ::8, ::8]
    root = golden.outputs["root_depth"].values
    return (
        distance(volumes, golden.outputs["heatmaps"]),
        distance(outputs.hands, golden.outputs["hand_type"]),
        float(abs(outputs.root_depth.ravel() / root - 1).max()),
    )


@pytest.mark.slow
def test_outputs_equal_mmposes(tmp_path):
    golden = load(NAME)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    fits = identify(convert.load_state_dict(path), CATALOGUE)
    assert fits[0].entry.name == "internet-r50"
    variables = convert.to_variables(golden.state_dict, internet())
    assert count_parameters(variables) == golden.description["parameters"]
    outputs = forward()(variables, golden.images)
    assert max(distances(outputs, golden)) <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, "middle")
    outputs = forward()(convert.to_variables(broken, internet()), golden.images)
    assert distances(outputs, golden)[0] > TOLERANCE, layer
    exchanged = {
        key.replace("right_", "x_").replace("left_", "right_").replace("x_", "left_"): array
        for key, array in golden.state_dict.items()
    }
    outputs = forward()(convert.to_variables(exchanged, internet()), golden.images)
    found = distances(outputs, golden)
    assert found[0] > 0.1 and max(found[1:]) <= TOLERANCE


@pytest.mark.parametrize("name", ["rtmw3d_l_384x288", NAME])
def test_the_model_is_found_from_the_names(name):
    """Arrays of zeros without memory: shapes and names alone."""
    (fit, *_) = identify(empty_state_dict(name), CATALOGUE)
    assert fit.entry.golden == (name,)
    assert (fit.num_keypoints, fit.input_hw) == (fit.entry.num_keypoints, fit.entry.input_hw)
