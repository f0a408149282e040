"""Vision transformers under every project's names: the same outputs as the published code."""

import resource
from functools import cache

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, load

from jaxpose import convert
from jaxpose.models import (
    ClassificationHead,
    PoseModel,
    ViT,
    count_parameters,
    vitpose,
    vitpose_plus,
)

# The model, its output's name, and the parameters that the published count has beyond ours: a class
# token's position, which is added to all the others here.
MODELS = {
    "hf_vitpose_small": (vitpose("S"), "heatmaps", 384),
    "hf_vitpose_base_simple": (vitpose("B", head="simple"), "heatmaps", 768),
    "official_vitpose_s": (vitpose("S"), "output", 384),
}
# Experts of the datasets that have no reference outputs.
OTHER_EXPERTS = r".*\.experts\.[1245]\."

CLASSIFIER = PoseModel(
    ViT(input_hw=(224, 224), heads=6, patch_padding=0, class_token=True),
    ClassificationHead(1000, pool="token"),
)


@cache
def compiled(model):
    return jax.jit(model.apply)


def heatmaps(model, variables, images):
    return np.asarray(compiled(model)(variables, images)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", MODELS)
def test_heatmaps_equal_the_references(name):
    model, output, class_slots = MODELS[name]
    golden = load(name)
    variables = convert.to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"] - class_slots
    found = heatmaps(model, variables, golden.images)
    assert distance(found, golden.outputs[output]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_broken_layer_is_seen(name, place):
    model, output, _ = MODELS[name]
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place)
    found = heatmaps(model, convert.to_variables(broken, model), golden.images)
    assert distance(found, golden.outputs[output]) > TOLERANCE, layer


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [0, 3])
def test_one_checkpoint_of_vitpose_plus_serves_every_dataset(dataset):
    golden = load("hf_vitpose_plus_small")
    variables = convert.to_variables(golden.state_dict, vitpose_plus("S"))
    assert count_parameters(variables) == golden.description["parameters"] - 384
    found = heatmaps(vitpose_plus("S", dataset=dataset), variables, golden.images)
    assert distance(found, golden.outputs[f"heatmaps_dataset_{dataset}"]) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_of_vitpose_plus_is_seen(place):
    golden = load("hf_vitpose_plus_small")
    layer, broken = with_fault(golden.state_dict, place, OTHER_EXPERTS)
    variables = convert.to_variables(broken, vitpose_plus("S"))
    found = heatmaps(vitpose_plus("S", dataset=0), variables, golden.images)
    assert distance(found, golden.outputs["heatmaps_dataset_0"]) > TOLERANCE, layer


@pytest.mark.slow
def test_the_huge_model_equals_mmposes():
    """Prints the process's peak memory: weights, variables and the compiled forward pass."""
    golden = load("vitpose_h_256x192")
    model = vitpose("H")
    variables = convert.to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"]
    _, broken = with_fault(golden.state_dict, "middle")
    golden.state_dict.clear()
    found = heatmaps(model, variables, golden.images)
    assert distance(found, golden.outputs["output"]) <= TOLERANCE
    del variables
    found = heatmaps(model, convert.to_variables(broken, model), golden.images)
    assert distance(found, golden.outputs["output"]) > TOLERANCE
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


@jax.jit
def classify(variables, images):
    logits, state = CLASSIFIER.apply(
        variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
    )
    return logits, state["intermediates"]["backbone"]["__call__"][0]


def test_imagenet_features_and_logits_equal_timms():
    golden = load("timm_vit_small_patch16_224")
    variables = convert.to_variables(golden.state_dict, CLASSIFIER)
    assert count_parameters(variables) == golden.description["parameters"]
    logits, features = classify(variables, golden.images)
    tokens = np.concatenate([features.token[:, None], features.map.reshape(1, 196, 384)], 1)
    assert distance(tokens, golden.outputs["features"]) <= TOLERANCE
    assert distance(np.asarray(logits), golden.outputs["logits"]) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["epsilon 1e-5 for 1e-6", "approximate GELU"])
def test_a_wrong_constant_is_seen(fault, monkeypatch):
    """The heatmaps of `vitpose_s_256x192` would not show this epsilon: 1.3e-5 apart."""
    backbone = CLASSIFIER.backbone
    if fault == "approximate GELU":
        gelu = jax.nn.gelu
        monkeypatch.setattr(jax.nn, "gelu", lambda x, approximate: gelu(x, approximate=True))
    else:
        backbone = backbone.clone(norm_eps=1e-5)
    golden = load("timm_vit_small_patch16_224")
    variables = convert.to_variables(golden.state_dict, CLASSIFIER)
    model = PoseModel(backbone, CLASSIFIER.head)
    logits = jax.jit(lambda variables: model.apply(variables, golden.images))(variables)
    assert distance(np.asarray(logits), golden.outputs["logits"]) > TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_of_the_classifier_is_seen(place):
    golden = load("timm_vit_small_patch16_224")
    layer, broken = with_fault(golden.state_dict, place)
    logits, _ = classify(convert.to_variables(broken, CLASSIFIER), golden.images)
    assert distance(np.asarray(logits), golden.outputs["logits"]) > TOLERANCE, layer
