"""DEKR through the converter: the same outputs as MMPose 1.3.2."""

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

NAME = "dekr_hrnet_w32_256x256"
MODEL = find("dekr-w32").model()


@jax.jit
def forward(variables, images):
    return MODEL.apply(variables, images)


def run(state_dict):
    golden = load(NAME)
    found = forward(to_variables(state_dict, MODEL), golden.images)
    return [
        distance(np.asarray(part).transpose(0, 3, 1, 2), golden.outputs[f"output.{i}"])
        for i, part in enumerate(found)
    ]


@pytest.mark.slow
def test_outputs_are_mmposes():
    golden = load(NAME)
    variables = to_variables(golden.state_dict, MODEL)
    rescoring = sum(a.size for key, a in golden.state_dict.items() if "rescore_net" in key)
    assert count_parameters(variables) == golden.description["parameters"] - rescoring
    assert max(run(golden.state_dict)) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    layer, broken = with_fault(load(NAME).state_dict, place, "head.rescore_net")
    assert max(run(broken)) > TOLERANCE, layer


@pytest.mark.slow
def test_the_model_is_found_by_its_keys():
    fits = choose(identify(empty_state_dict(NAME) | kept(), CATALOGUE), Clues())
    assert fits[0].entry.name == "dekr-w32"


def kept():
    """Constants that are checked for their values."""
    state_dict = load(NAME).state_dict
    return {key: array for key, array in state_dict.items() if "regular_matrix" in key}
