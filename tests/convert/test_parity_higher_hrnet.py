"""HigherHRNet and AE-HRNet through the converter: the same outputs as in PyTorch."""

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
from jaxpose.models.published.catalogue import CATALOGUE, find

MODELS = {
    "higherhrnet_w32_256x256": "higherhrnet-w32",
    # Four times the pixels.
    "ae_hrnet_w32_512x512": "ae-hrnet-w32",
}


@cache
def forward(name):
    return jax.jit(find(MODELS[name]).model().apply)


def run(name, state_dict):
    """Largest distance of an output."""
    golden = load(name)
    variables = to_variables(state_dict, find(MODELS[name]).model())
    found = forward(name)(variables, golden.images)
    maps, tags, *fine = (np.asarray(x).transpose(0, 3, 1, 2) for x in jax.tree.leaves(found))
    parts = (maps, tags) if not fine else (np.concatenate([maps, tags], axis=1), *fine)
    return max(distance(part, golden.outputs[f"output.{i}"]) for i, part in enumerate(parts))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_the_published_codes(name):
    golden = load(name)
    record = find(MODELS[name])
    variables = to_variables(golden.state_dict, record.model())
    assert count_parameters(variables) == golden.description["parameters"]
    assert run(name, golden.state_dict) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    name = "higherhrnet_w32_256x256"
    layer, broken = with_fault(load(name).state_dict, place)
    assert run(name, broken) > TOLERANCE, layer


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_found_by_its_keys(name):
    fits = choose(identify(empty_state_dict(name), CATALOGUE), Clues())
    assert fits[0].entry.name == MODELS[name] and fits[0].num_keypoints == 17


@pytest.mark.slow
def test_an_hrnet_of_an_even_number_of_keypoints_is_no_associative_embedding():
    arrays = empty_state_dict("hrnet_w32_256x192")
    for leaf in ("weight", "bias"):
        array = arrays[f"head.final_layer.{leaf}"]
        arrays[f"head.final_layer.{leaf}"] = np.broadcast_to(array[:1], (14, *array.shape[1:]))
    fits = identify(arrays, CATALOGUE)
    assert fits[0].num_keypoints == 14
    assert all(fit.entry.name.startswith("hrnet-w32") for fit in fits)
