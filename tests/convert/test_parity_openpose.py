"""OpenPose and Lightweight OpenPose through the converter: the same outputs as in PyTorch."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, empty_state_dict, load

from jaxpose.convert import to_variables
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.normalisation import HALF_RGB, IMAGENET_RGB
from jaxpose.models.published.catalogue import CATALOGUE, find

# Reference, record, and its outputs in the order of the channels.
MODELS = {
    "openpose_coco18_vgg": ("openpose-coco18", ("heatmaps", "pafs")),
    "openpose_body25": ("openpose-body25", ("output",)),
    "openpose_hand_vgg": ("openpose-hand21", ("output",)),
    "openpose_face70": ("openpose-face70", ("output",)),
    "lightweight_openpose_mobilenet": ("lightweight-openpose", ("output.2", "output.3")),
}


@cache
def forward(name):
    return jax.jit(find(MODELS[name][0]).model().apply)


def images_of(golden):
    """Images that are the reference's input once the model has normalised them, as BGR."""
    given, wanted = IMAGENET_RGB, HALF_RGB
    pixels = golden.images[..., ::-1] * np.array(wanted.std) + np.array(wanted.mean)
    return ((pixels - np.array(given.mean)) / np.array(given.std)).astype(np.float32)


def run(name, state_dict, images):
    """Distance of each output."""
    golden = load(name)
    variables = to_variables(state_dict, find(MODELS[name][0]).model())
    output = np.asarray(forward(name)(variables, images)).transpose(0, 3, 1, 2)
    names = MODELS[name][1]
    ends = np.cumsum([golden.outputs[key].shape[1] for key in names])
    assert ends[-1] == output.shape[1]
    parts = np.split(output, ends[:-1], axis=1)
    return [distance(part, golden.outputs[key]) for part, key in zip(parts, names, strict=True)]


QUICK = ("openpose_body25", "lightweight_openpose_mobilenet")


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)
def test_outputs_are_the_published_codes(name):
    golden = load(name)
    record = find(MODELS[name][0])
    variables = to_variables(golden.state_dict, record.model())
    assert count_parameters(variables) == golden.description["parameters"]
    assert record.parameters == pytest.approx(golden.description["parameters"] / 1e6, abs=0.01)
    assert max(run(name, golden.state_dict, images_of(golden))) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name",
    [
        "openpose_body25",
        pytest.param("openpose_coco18_vgg", marks=pytest.mark.slow),
        pytest.param("lightweight_openpose_mobilenet", marks=pytest.mark.slow),
    ],
)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    assert max(run(name, broken, images_of(golden))) > TOLERANCE, layer


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_found_by_its_keys(name):
    fits = choose(identify(empty_state_dict(name), CATALOGUE), Clues())
    assert fits[0].entry.name == MODELS[name][0]
