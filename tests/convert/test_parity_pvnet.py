"""PVNet through the converter: the same outputs as the published code."""

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint
from jaxpose.hub.load import load_pose
from jaxpose.models import count_parameters
from jaxpose.models.published.pvnet import pvnet

NAME = "pvnet_resnet18"
MODEL = pvnet()
# Summaries of features in the reference, and the modules here.
FEATURES = {
    "resnet18_8s.layer2": "stage_1_block_1",
    "resnet18_8s.layer4": "stage_3_block_1",
    "resnet18_8s.fc": "neck",
    "conv8s": "decoder_8",
    "conv4s": "decoder_4",
    "conv2s": "decoder_2",
}


@jax.jit
def forward(variables, images):
    keep = lambda module, _: module.name in FEATURES.values()  # noqa: E731
    fields, state = MODEL.apply(
        variables, images, capture_intermediates=keep, mutable="intermediates"
    )
    return fields, state["intermediates"]["backbone"]


def from_nhwc(array):
    return np.asarray(array).transpose(0, 3, 1, 2)


def test_outputs_are_the_published_codes():
    golden = load(NAME)
    variables = convert.to_variables(golden.state_dict, MODEL)
    assert count_parameters(variables) == golden.description["parameters"]
    fields, features = forward(variables, golden.images)
    # The first features that differ name the wrong layer.
    for source, module in FEATURES.items():
        (found,) = features[module]["__call__"]
        away = feature_distance(from_nhwc(found), golden.description["features"][source])
        assert away <= TOLERANCE, source
    assert distance(from_nhwc(fields.mask), golden.outputs["seg"]) <= TOLERANCE
    assert distance(from_nhwc(fields.vectors), golden.outputs["vertex"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    golden = load(NAME)
    layer, broken = with_fault(golden.state_dict, place)
    fields, _ = forward(convert.to_variables(broken, MODEL), golden.images)
    assert distance(from_nhwc(fields.vectors), golden.outputs["vertex"]) > TOLERANCE, layer


@pytest.mark.slow
def test_a_checkpoint_becomes_a_release(tmp_path):
    save_file(load(NAME).state_dict, tmp_path / "checkpoint.safetensors")
    table, (counts,) = release_checkpoint(
        tmp_path / "checkpoint.safetensors", tmp_path / "out", ConvertOptions()
    )
    assert "pvnet" in table.columns[1]._cells and counts.given == len(load(NAME).state_dict)
    assert load_pose(tmp_path / "out").estimator.codec.input_hw == (480, 640)
