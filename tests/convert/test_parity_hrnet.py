"""HRNet through the converter: the same outputs as MMPose 1.3.2 and timm 1.0.31."""

import jax
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, empty_state_dict, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.errors import InputError
from jaxpose.models import (
    DeconvHead,
    PoseModel,
    abstract_variables,
    count_parameters,
    hrnet_backbone,
    hrnet_pose,
    hrnetv2_pose,
)

SMALL = hrnet_backbone("W18-small")


V2 = hrnetv2_pose("W18")
# Of a classifier; `reset_head` leaves them.
CLASSIFIER = ("incre_", "downsamp_", "final_layer", "classifier")


@jax.jit
def forward_v2(variables, images):
    output, state = V2.apply(
        variables,
        images,
        capture_intermediates=lambda module, _: module.name == "stage_4_module_2",
    )
    return output, state["intermediates"]["backbone"]["stage_4_module_2"]["__call__"][0]


@jax.jit
def forward_small(variables, images):
    return SMALL.apply({kind: tree["backbone"] for kind, tree in variables.items()}, images)


def from_nhwc(arrays):
    return jax.tree.map(lambda a: np.asarray(a).transpose(0, 3, 1, 2), arrays)


def load_small(state_dict):
    return convert.load_pretrained(
        PoseModel(SMALL, DeconvHead(17)), state_dict, variables=backbone_shapes(), reset_head=True
    )


@pytest.mark.slow
def test_hrnetv2_outputs_equal_mmposes(tmp_path):
    golden = load("hrnetv2_w18_wflw_256x256")
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    variables = convert.to_variables(convert.load_state_dict(path), V2)
    assert count_parameters(variables) == golden.description["parameters"]
    output, branches = from_nhwc(forward_v2(variables, golden.images))
    for branch, summary in zip(branches, golden.description["backbone_features"], strict=True):
        assert feature_distance(branch, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "model"),
    [("hrnet_w32_256x192", hrnet_pose("W32")), ("hrnetv2_w18_wflw_256x256", V2)],
)
def test_heads_add_their_biases(name, model):
    """On features of unit size, by NumPy.

    The features of these references are in the thousands: without its last bias the output would
    move by only 2e-5 of its spread.
    """
    state_dict = load(name).state_dict
    head = {key.removeprefix("head."): array for key, array in state_dict.items() if "head" in key}
    channels = head[next(iter(head))].shape[1]
    features = np.random.default_rng(0).standard_normal((1, 2, 3, channels), np.float32)
    expected = features
    if "conv_layers.0.weight" in head:
        expected = (
            expected @ head["conv_layers.0.weight"][:, :, 0, 0].T + head["conv_layers.0.bias"]
        )
        gain, shift, mean, variance = (
            head[f"conv_layers.1.{leaf}"]
            for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        expected = np.maximum((expected - mean) / np.sqrt(variance + 1e-5) * gain + shift, 0)
    expected = expected @ head["final_layer.weight"][:, :, 0, 0].T + head["final_layer.bias"]
    variables = convert.to_variables(state_dict, model)
    own = {kind: tree["head"] for kind, tree in variables.items() if "head" in tree}
    assert distance(model.head.apply(own, features), expected) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_of_hrnetv2_is_seen(place):
    golden = load("hrnetv2_w18_wflw_256x256")
    layer, broken = with_fault(golden.state_dict, place)
    output, _ = from_nhwc(forward_v2(convert.to_variables(broken, V2), golden.images))
    assert distance(output, golden.outputs["output"]) > TOLERANCE, layer


def test_the_four_branches_equal_timms():
    golden = load("timm_hrnet_w18_small")
    variables = load_small(golden.state_dict)
    classifier = sum(
        array.size
        for key, array in golden.state_dict.items()
        if key.startswith(CLASSIFIER) and key.endswith(("weight", "bias"))
    )
    assert count_parameters(variables) == golden.description["parameters"] - classifier
    for i, branch in enumerate(from_nhwc(forward_small(variables, golden.images))):
        assert distance(branch, golden.outputs[f"branch.{i}"]) <= TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_of_the_branches_is_seen(place):
    golden = load("timm_hrnet_w18_small")
    layer, broken = with_fault(golden.state_dict, place, "|".join(CLASSIFIER))
    branches = from_nhwc(forward_small(load_small(broken), golden.images))
    distances = [distance(b, golden.outputs[f"branch.{i}"]) for i, b in enumerate(branches)]
    assert max(distances) > TOLERANCE, layer


def test_imagenet_weights_start_a_pose_model_and_their_classifier_is_left():
    state_dict = load("timm_hrnet_w18_small").state_dict
    model = hrnet_pose("W18-small")
    fresh = abstract_variables(model, (256, 192))
    variables = convert.load_pretrained(model, state_dict, variables=fresh, reset_head=True)
    np.testing.assert_array_equal(
        variables["params"]["backbone"]["stem_0"]["conv"]["kernel"],
        state_dict["conv1.weight"].transpose(2, 3, 1, 0),
    )
    assert jax.tree.structure(variables) == jax.tree.structure(fresh)
    with pytest.raises(InputError, match="reset_head"):
        convert.to_variables(state_dict, model)


@pytest.mark.parametrize("name", ["hrnet_w32_256x192", "hrnetv2_w18_wflw_256x256"])
def test_hrnets_own_code_has_the_same_arrays_under_other_names(name):
    arrays = empty_state_dict(name)
    model = hrnetv2_pose("W18") if "v2" in name else hrnet_pose("W32")
    own = {}
    for key, array in arrays.items():
        key = key.removeprefix("backbone.")
        for theirs, ours in (
            ("head.final_layer", "head.3" if "v2" in name else "final_layer"),
            ("head.conv_layers", "head"),
        ):
            key = key.replace(theirs, ours)
        own[key] = array
    expected = convert.to_variables(arrays, model)
    actual = convert.to_variables(own, model)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)


def backbone_shapes():
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    shapes = jax.eval_shape(SMALL.init, jax.random.key(0), images)
    return {kind: {"backbone": tree} for kind, tree in shapes.items()}
