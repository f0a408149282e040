"""Vision transformers under every project's names: the same outputs as the published code."""

import resource

import jax
import numpy as np
import pytest
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


def heatmaps(model, variables, images):
    return np.asarray(jax.jit(model.apply)(variables, images)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "model", "output", "class_slots"),
    [
        # The published parameter count of these includes a class token's position, which is added
        # to all the others here.
        ("hf_vitpose_small", vitpose("S"), "heatmaps", 384),
        ("hf_vitpose_base_simple", vitpose("B", head="simple"), "heatmaps", 768),
        ("official_vitpose_s", vitpose("S"), "output", 384),
    ],
)
def test_heatmaps_equal_the_references(name, model, output, class_slots, shared):
    golden = load(shared, name)
    variables = convert.to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"] - class_slots
    found = heatmaps(model, variables, golden.images)
    assert distance(found, golden.outputs[output]) <= TOLERANCE


def test_one_checkpoint_of_vitpose_plus_serves_every_dataset(shared):
    golden = load(shared, "hf_vitpose_plus_small")
    variables = convert.to_variables(golden.state_dict, vitpose_plus("S"))
    assert count_parameters(variables) == golden.description["parameters"] - 384
    for dataset in (0, 3):
        found = heatmaps(vitpose_plus("S", dataset=dataset), variables, golden.images)
        assert distance(found, golden.outputs[f"heatmaps_dataset_{dataset}"]) <= TOLERANCE


@pytest.mark.slow
def test_the_huge_model_equals_mmposes(shared):
    """Prints the process's peak memory: weights, variables and the compiled forward pass."""
    golden = load(shared, "vitpose_h_256x192")
    model = vitpose("H")
    variables = convert.to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"]
    golden.state_dict.clear()
    found = heatmaps(model, variables, golden.images)
    assert distance(found, golden.outputs["output"]) <= TOLERANCE
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


def test_imagenet_features_and_logits_equal_timms(shared):
    golden = load(shared, "timm_vit_small_patch16_224")
    model = PoseModel(
        ViT(input_hw=(224, 224), heads=6, patch_padding=0, class_token=True),
        ClassificationHead(1000, pool="token"),
    )
    variables = convert.to_variables(golden.state_dict, model)
    assert count_parameters(variables) == golden.description["parameters"]

    @jax.jit
    def forward(variables, images):
        logits, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return logits, state["intermediates"]["backbone"]["__call__"][0]

    logits, features = forward(variables, golden.images)
    tokens = np.concatenate([features.token[:, None], features.map.reshape(1, 196, 384)], 1)
    assert distance(tokens, golden.outputs["features"]) <= TOLERANCE
    assert distance(np.asarray(logits), golden.outputs["logits"]) <= TOLERANCE
