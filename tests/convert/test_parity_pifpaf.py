"""OpenPifPaf through the converter: the same outputs as the published package."""

from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, empty_state_dict, load

from jaxpose.codecs import CompositeFields
from jaxpose.convert import to_variables
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.errors import InputError
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, find
from jaxpose.models.published.pifpaf import pifpaf

NAME = "pifpaf_shufflenetv2k16"
RECORD = find("pifpaf-shufflenetv2k16")


@cache
def forward():
    """The model, also with the outputs of both convolutions of the head."""
    model = RECORD.model()

    def run(variables, images):
        wanted = ("keypoints", "associations")
        outputs, more = model.apply(
            variables,
            images,
            capture_intermediates=lambda module, _: module.name in wanted,
            mutable=["intermediates"],
        )
        raw = [more["intermediates"]["head"][name]["__call__"][0] for name in wanted]
        return outputs, raw

    return jax.jit(run)


def run(state_dict):
    golden = load(NAME)
    outputs, raw = forward()(to_variables(state_dict, RECORD.model()), golden.images)
    found = {
        f"{name}_raw": np.asarray(part).transpose(0, 3, 1, 2)
        for name, part in zip(("cif", "caf"), raw, strict=True)
    }
    fields = CompositeFields(golden.images.shape[1:3]).fields(outputs)
    for name, part, own in zip(("cif", "caf"), fields, outputs, strict=True):
        whole = np.concatenate([np.asarray(own)[..., :1], part], axis=-1)
        found[name] = whole.transpose(0, 3, 4, 1, 2)
    assert set(found) == set(golden.outputs)
    return [distance(part, golden.outputs[name]) for name, part in found.items()]


def test_outputs_are_the_published_packages():
    golden = load(NAME)
    variables = to_variables(golden.state_dict, RECORD.model())
    assert count_parameters(variables) == golden.description["parameters"]
    assert RECORD.parameters == pytest.approx(golden.description["parameters"] / 1e6, abs=0.01)
    assert max(run(golden.state_dict)) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    layer, broken = with_fault(load(NAME).state_dict, place)
    assert max(run(broken)) > TOLERANCE, layer


def test_the_model_is_found_by_its_keys():
    fits = choose(identify(empty_state_dict(NAME), CATALOGUE), Clues())
    assert fits[0].entry.name == RECORD.name


def test_an_unknown_size_is_named():
    with pytest.raises(InputError, match="known: k16, k30"):
        pifpaf("k50")
