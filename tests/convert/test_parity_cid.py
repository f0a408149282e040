"""CID through the converter: the same outputs as MMPose 1.3.2."""

import functools

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, empty_state_dict, load

from jaxpose.codecs.instance_heatmaps import GuidedImages
from jaxpose.convert import to_variables
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE, find

NAME = "cid_hrnet_w32_256x256"
MODEL = find("cid-w32").model()
# Centres at which the reference's heatmaps were computed.
GIVEN = np.array([[[5, 9], [33, 20], [60, 63]]], np.int32)


@jax.jit
def forward(variables, images):
    features = MODEL.apply(variables, images, method=lambda m, x: m.backbone(x, False))

    def head(center):
        return MODEL.apply(variables, features, method=lambda m, x: m.head(x, True, center))

    return head(None), head(GIVEN)


def run(state_dict):
    golden = load(NAME)
    found, given = forward(to_variables(state_dict, MODEL), golden.images)
    outputs = {
        "coupled_heatmaps": np.asarray(found.coupled).transpose(0, 3, 1, 2),
        "instance_feats": np.asarray(found.features)[0, :4],
        "instance_scores": np.asarray(found.score)[0, :4],
        "instance_coords": np.asarray(found.center)[0, :4],
        "fixed_coords_heatmaps": np.asarray(given.instances)[0].transpose(0, 3, 1, 2),
    }
    return {name: distance(array, golden.outputs[name]) for name, array in outputs.items()}


@pytest.mark.slow
def test_outputs_are_mmposes():
    golden = load(NAME)
    variables = to_variables(golden.state_dict, MODEL)
    assert count_parameters(variables) == golden.description["parameters"]
    away = run(golden.state_dict)
    assert max(away.values()) <= TOLERANCE, away


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    layer, broken = with_fault(load(NAME).state_dict, place)
    assert max(run(broken).values()) > TOLERANCE, layer


@pytest.mark.slow
def test_the_model_is_found_by_its_keys():
    fits = choose(identify(empty_state_dict(NAME), CATALOGUE), Clues())
    assert fits[0].entry.name == "cid-w32"


@pytest.mark.slow
def test_training_takes_the_centres_of_the_labels():
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), "float32")
    variables = jax.eval_shape(MODEL.init, jax.random.key(0), images)
    center = jax.ShapeDtypeStruct((2, 5, 2), "int32")
    apply = functools.partial(MODEL.apply, train=True, mutable=["batch_stats"])
    outputs, _ = jax.eval_shape(apply, variables, GuidedImages(images, center))
    assert outputs.instances.shape == (2, 5, 16, 16, 17)
    assert outputs.features.shape == (2, 5, 480)
